package server_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/test/bufconn"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/server"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// A client library has typed methods for every command. Over connections in memory it
// talks to an engine in the same process: no port, no socket.
func Example_inMemory() {
	db, err := core.Open(core.Options{FS: memfs.New()})
	if err != nil {
		panic(err)
	}
	srv := server.New(db, server.DefaultOptions())
	listener := bufconn.Listen(1 << 20) // any net.Listener whose connections have a buffer
	go func() { _ = srv.Serve(listener) }()

	client := redis.NewClient(&redis.Options{
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	ctx := context.Background()
	client.ZAdd(ctx, "board", redis.Z{Score: 3, Member: "ann"}, redis.Z{Score: 5, Member: "bob"})
	best, err := client.ZRevRangeWithScores(ctx, "board", 0, 0).Result()
	fmt.Println(best, err)

	_ = client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fmt.Println(srv.Shutdown(ctx), db.Close())
	// Output:
	// [{5 bob}] <nil>
	// <nil> <nil>
}
