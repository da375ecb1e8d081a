// Where the shop's back end is. It says where the chat is.

export const SHOP = 'http://127.0.0.1:9000';
