package command

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
)

// TestClientFilters: what the filters of CLIENT LIST and CLIENT KILL let pass, as
// Valkey 9 does.
func TestClientFilters(t *testing.T) {
	clients := []ClientInfo{
		{ID: 1, Addr: "127.0.0.1:5001", LAddr: "127.0.0.1:6379", Name: "web", LibName: "go", LibVer: "1", User: "default", Flags: "N", Age: 90 * time.Second},
		{ID: 2, Addr: "[::1]:5002", LAddr: "[::1]:6379", User: "default", Flags: "P", Type: ClientPubSub, Idle: 30 * time.Second},
		{ID: 3, Addr: "10.0.0.1:5003", LAddr: "127.0.0.1:6379", Name: "job", LibName: "py", LibVer: "2", User: "ann", Flags: "xb", DB: 5},
		{ID: 4, Addr: "/tmp/s:0", LAddr: "/tmp/s:0", User: "ann", Flags: "xU"},
	}
	for filter, want := range map[string][]int64{
		"":                                  {1, 2, 3, 4},
		"ID 1 3 9":                          {1, 3},
		"ID 1 ID 3":                         {1, 3},
		"ID 1 2 3 NOT-ID 2 3":               {1},
		"NOT-ID 2 NOT-ID 3":                 {1, 4},
		"ID 1 2 TYPE pubsub":                {2},
		"TYPE normal TYPE pubsub":           {2},
		"NOT-TYPE pubsub":                   {1, 3, 4},
		"ADDR 127.0.0.1:5001":               {1},
		"NOT-ADDR 127.0.0.1:5001":           {2, 3, 4},
		"LADDR 127.0.0.1:6379 NOT-ID 1":     {3},
		"NOT-LADDR 127.0.0.1:6379":          {2, 4},
		"IP ::1":                            {2},
		"IP 127.0.0.1":                      {1},
		"NOT-IP 127.0.0.1":                  {2, 3, 4},
		"NAME job":                          {3},
		"NAME \"\"":                         nil,
		"NOT-NAME \"\"":                     {1, 2, 3, 4},
		"NOT-NAME job":                      {1, 2, 4},
		"LIB-NAME go LIB-VER 1":             {1},
		"NOT-LIB-NAME go":                   {2, 3, 4},
		"NOT-LIB-VER 2":                     {1, 2, 4},
		"USER ann":                          {3, 4},
		"not-user ann":                      {1, 2},
		"FLAGS x":                           {3, 4},
		"FLAGS bx":                          {3},
		"FLAGS \"\"":                        {1, 2, 3, 4},
		"NOT-FLAGS bx":                      {1, 2, 4},
		"DB 5":                              {3},
		"NOT-DB 0":                          {3},
		"DB 5 DB 0":                         {1, 2, 4},
		"MAXAGE 90":                         {1},
		"MAXAGE 91":                         nil,
		"IDLE 30":                           {2},
		"SKIPME yes SKIPME no MAXAGE 1":     {1},
		"FLAGS x USER ann DB 5 IP 10.0.0.1": {3},
	} {
		args, _ := resp.SplitArgs([]byte("CLIENT LIST "+filter), nil)
		x := newTester(t, 1)
		x.ctx.Reset(args, &x.out, 0, -1, x.now)
		x.ctx.Engine = userNamed{name: "ann"}
		f, ok := x.ctx.clientFilter(args[2:])
		if !ok {
			t.Errorf("%s: %s", filter, bytes.TrimSpace(x.out.Buf))
			continue
		}
		var got []int64
		for _, i := range clients {
			if f.accepts(i) {
				got = append(got, i.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lets pass %v, want %v", filter, got, want)
		}
		if f.skipMe || f.skipMeSet != strings.Contains(filter, "SKIPME") {
			t.Errorf("%s: skips its own client: %v, %v", filter, f.skipMe, f.skipMeSet)
		}
	}
}

// userNamed is an engine that knows one user more than the default one.
type userNamed struct {
	accepting
	name string
}

func (u userNamed) HasUser(name string) bool { return name == u.name || name == "default" }
