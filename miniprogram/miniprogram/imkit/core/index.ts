// Everything that a page may import from the client core.

export type { ImClient } from './api';
export { createClient } from './client';
export { ImError } from './error';
export { loginDemo, loginToken, loginWechat } from './http';
export { toKey, toUserId } from './keys';
export type {
  ClientOptions,
  Clock,
  HttpRequest,
  HttpResponse,
  Platform,
  Socket,
  SocketHandlers,
  Storage,
  UploadRequest,
} from './platform';
export type {
  ChatItem,
  ChatList,
  Changes,
  ChatsChange,
  Connection,
  Conversation,
  LastChat,
  ListChange,
  Report,
  SendRefusal,
  SendResult,
  StopReason,
} from './shown';
export type {
  BlocksPage,
  Body,
  ChatId,
  Complaint,
  ConversationId,
  ConversationKey,
  Draft,
  GroupKey,
  Member,
  MembersPage,
  Mentions,
  Presence,
  Quote,
  Role,
  Session,
  Settings,
  User,
  UserId,
} from './types';
