// Everything that a page may import from the client core.

export { createClient } from './client';
export { ImError } from './error';
export { loginDemo, loginWechat } from './http';
export { toUserId } from './ids';
export type {
  ChatId,
  ChatItem,
  ChatList,
  Changes,
  ChatsChange,
  ClientOptions,
  Clock,
  Connection,
  Conversation,
  ConversationId,
  ConversationKey,
  GroupKey,
  HttpRequest,
  HttpResponse,
  ImClient,
  LastChat,
  ListChange,
  Platform,
  Presence,
  Report,
  SendRefusal,
  SendResult,
  Session,
  Socket,
  SocketHandlers,
  StopReason,
  Storage,
  User,
  UserId,
} from './types';
