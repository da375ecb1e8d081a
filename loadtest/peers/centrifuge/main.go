// Centrifuge, the Go library that Centrifugo is made of, with its Redis broker and an INSERT a chat.
//
//	in   rpc "send" {key, to, content}
//	out  its result {key, id, time} or {key, code};
//	     on the user's own channel {id, from, to, key, content, time}
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/centrifugal/centrifuge"
)

// prefix of what it has in Redis: the user of the stack's Redis may use no other.
const prefix = "imserver:peers:centrifuge"

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	store, err := openStore(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("Postgres: %w", err)
	}
	defer store.close()
	node, err := newNode(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		credentials, ok := centrifuge.GetCredentials(ctx)
		if !ok {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		// A subscription of the server's own, which stands before the client hears that it is connected.
		own := map[string]centrifuge.SubscribeOptions{"user:" + credentials.UserID: {}}
		return centrifuge.ConnectReply{Subscriptions: own}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) { welcome(node, store, client) })
	if err := node.Run(); err != nil {
		return err
	}

	routes := http.NewServeMux()
	routes.Handle("GET /connection/websocket", identified(centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		UseWriteBufferPool: true,
		CheckOrigin:        func(*http.Request) bool { return true },
	})))
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	routes.HandleFunc("GET /readback", func(w http.ResponseWriter, r *http.Request) { readBack(store, w, r) })

	listener, err := net.Listen("tcp", "127.0.0.1:"+port())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Printf("centrifuge listens on http://%s\n", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = server.Shutdown(end)
	return node.Shutdown(end)
}

func port() string {
	if port := os.Getenv("PORT"); port != "" {
		return port
	}
	return "0"
}

// newNode makes a node that finds the others through Redis.
func newNode(redisURL string) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{
		LogLevel: centrifuge.LogLevelError,
		LogHandler: func(entry centrifuge.LogEntry) {
			log.Printf("centrifuge: %s %v", entry.Message, entry.Fields)
		},
	})
	if err != nil {
		return nil, err
	}
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: redisURL})
	if err != nil {
		return nil, fmt.Errorf("Redis: %w", err)
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
		Prefix: prefix,
		Shards: []*centrifuge.RedisShard{shard},
		// There is no history but the database's. This only spares a look at streams, which the user of the
		// stack's Redis has no right to.
		UseLists: true,
	})
	if err != nil {
		return nil, fmt.Errorf("Redis: %w", err)
	}
	node.SetBroker(broker)
	return node, nil
}

// identified lets everybody be the number that they say they are.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := userOf(r)
		if err != nil {
			answer(w, http.StatusNotFound, map[string]string{"error": "not_found"})
			return
		}
		ctx := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{UserID: strconv.FormatInt(user, 10)})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func welcome(node *centrifuge.Node, store *store, client *centrifuge.Client) {
	sender, err := strconv.ParseInt(client.UserID(), 10, 64)
	if err != nil {
		client.Disconnect(centrifuge.DisconnectInvalidToken)
		return
	}
	client.OnRPC(func(event centrifuge.RPCEvent, done centrifuge.RPCCallback) {
		// Within the connection's own loop, so that its chats are kept in the order of sending.
		result, err := json.Marshal(receive(client.Context(), node, store, sender, event.Data))
		done(centrifuge.RPCReply{Data: result}, err)
	})
}

// letter is a chat that is to be kept.
type letter struct {
	Key     string `json:"key"`
	To      int64  `json:"to"`
	Content string `json:"content"`
}

// row is a chat that is kept.
type row struct {
	ID      int64  `json:"id"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Key     string `json:"key"`
	Content string `json:"content"`
	Time    int64  `json:"time"`
}

// result is what became of a chat.
type result struct {
	Key  string `json:"key,omitempty"`
	ID   int64  `json:"id,omitempty"`
	Time int64  `json:"time,omitempty"`
	Code string `json:"code,omitempty"`
}

func receive(ctx context.Context, node *centrifuge.Node, store *store, sender int64, data []byte) result {
	var sent letter
	if err := json.Unmarshal(data, &sent); err != nil || sent.Key == "" || sent.To < 1 || sent.Content == "" {
		return result{Code: "invalid"}
	}
	// A chat that is being written is written, whether or not the sender stays.
	kept, err := store.insert(context.WithoutCancel(ctx), sender, sent)
	if err != nil {
		log.Printf("a chat was not kept: %v", err)
		return result{Key: sent.Key, Code: "unavailable"}
	}
	event, err := json.Marshal(kept)
	if err == nil {
		_, err = node.Publish(channel(sent.To), event)
	}
	if err != nil {
		log.Printf("a chat was not published: %v", err)
	}
	return result{Key: kept.Key, ID: kept.ID, Time: kept.Time}
}

func channel(user int64) string {
	return "user:" + strconv.FormatInt(user, 10)
}

func userOf(r *http.Request) (int64, error) {
	user, err := strconv.ParseInt(r.URL.Query().Get("userId"), 10, 64)
	if err == nil && user < 1 {
		err = errors.New("not a user")
	}
	return user, err
}

func readBack(store *store, w http.ResponseWriter, r *http.Request) {
	user, err := userOf(r)
	if err != nil {
		answer(w, http.StatusNotFound, map[string]string{"error": "not_found"})
		return
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		limit = 100
	}
	page, err := store.readBack(r.Context(), user, after, limit)
	if err != nil {
		log.Printf("a request failed: %v", err)
		answer(w, http.StatusInternalServerError, map[string]string{"error": "failed"})
		return
	}
	answer(w, http.StatusOK, page)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
