// The shop. It knows nothing of the chat, which is in the subpackage `chat`.

App({});
