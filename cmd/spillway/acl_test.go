package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/core/resp"
)

// as is a client of a user; its error is what keeps it from being one.
func (d *daemon) as(user, pass string) (*redis.Client, error) {
	c := d.client(func(o *redis.Options) { o.Username, o.Password = user, pass })
	return c, c.Echo(context.Background(), "x").Err()
}

// refused tells whether a command was refused to the user.
func refused(c *redis.Client, args ...any) error {
	err := c.Do(context.Background(), args...).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		return fmt.Errorf("%q: %v", args, err)
	}
	return nil
}

// TestUsersOfConfiguration: users of plugins.hcl are there from the start, and each
// does what it may.
func TestUsersOfConfiguration(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := startConfig(t, `
filesystem "os" "data" { root = "`+t.TempDir()+`" }
user "default" { rules = ["off"] }
user "root"    { rules = ["on", ">hunter2", "~*", "&*", "+@all"] }
user "app"     { rules = ["on", ">secret", "~app:*", "%R~shared:*", "+@all", "-@dangerous"] }
`)
	if err := d.rdb.Get(ctx, "k").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without a password: %v", err)
	}
	if _, err := d.as("app", "wrong"); err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
		t.Errorf("with a wrong password: %v", err)
	}
	app, err := d.as("app", "secret")
	if err == nil {
		err = app.Set(ctx, "app:k", "v", 0).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]any{{"SET", "other", "v"}, {"SET", "shared:k", "v"}, {"FLUSHALL"}, {"ACL", "LIST"}} {
		if err := refused(app, args...); err != nil {
			t.Error(err)
		}
	}
	if err := app.Get(ctx, "shared:k").Err(); err != redis.Nil { //nolint:errorlint // it is that very one
		t.Errorf("reading what is shared: %v", err)
	}
	root, err := d.as("root", "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	log := fmt.Sprint(root.Do(ctx, "ACL", "LOG").Val())
	for _, want := range []string{"other", "shared:k", "flushall", "acl|list", "app", "auth"} {
		if !strings.Contains(log, want) {
			t.Errorf("ACL LOG lacks %q: %s", want, log)
		}
	}
	if strings.Contains(d.log.String(), "hunter2") || strings.Contains(d.log.String(), "secret") {
		t.Error("a password is in the log")
	}

	// A transaction that was permitted when it was queued.
	conn := d.plain()
	for _, args := range [][]string{{"AUTH", "app", "secret"}, {"MULTI"}, {"SET", "app:k", "w"}, {"GET", "app:k"}} {
		if v, err := conn.Do(args...); err != nil || v.Err() != nil {
			t.Fatal(v, err)
		}
	}
	if err := root.Do(ctx, "ACL", "SETUSER", "app", "-set").Err(); err != nil {
		t.Fatal(err)
	}
	v, err := conn.Do("EXEC")
	if err != nil || len(v.Elems) != 2 || !strings.Contains(v.Elems[0].Text(), "NOPERM ACLs rules changed") || v.Elems[1].Text() != "v" {
		t.Errorf("EXEC: %v, %v", v, err)
	}

	// The end of a user is the end of its connections.
	if n := root.Do(ctx, "ACL", "DELUSER", "app").Val(); n != int64(1) {
		t.Errorf("DELUSER: %v", n)
	}
	if _, err := conn.Do("GET", "app:k"); err == nil {
		t.Error("the connection of a user who was removed goes on")
	}
	if _, err := d.as("app", "secret"); err == nil {
		t.Error("a user who was removed comes in")
	}
}

// TestACLFile: users go to the file, come back at the next start, and a file that
// is wrong changes nothing.
func TestACLFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	data, etc := t.TempDir(), t.TempDir()
	file := filepath.Join(etc, "users.acl")
	if err := os.WriteFile(file, []byte("user first on nopass ~* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, data, "--aclfile", file)
	d.do("ACL", "SETUSER", "second", "on", ">pw", "~s:*", "+@all", "(+get ~other)")
	d.do("ACL", "SAVE")
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "pw") || !strings.Contains(string(text), "user second on #") {
		t.Fatalf("%s, %v", text, err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	want := d.do("ACL", "LIST")
	d.kill()

	d = startDaemon(t, data, "--aclfile", file)
	equal(t, "ACL LIST", d.do("ACL", "LIST"), want)
	if _, err := d.as("second", "pw"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("user first on\nuser bad +nosuch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.rdb.Do(ctx, "ACL", "LOAD").Err(); err == nil || !strings.Contains(err.Error(), "users.acl:2: Error in applying operation '+nosuch'") {
		t.Errorf("ACL LOAD of a bad file: %v", err)
	}
	equal(t, "ACL LIST", d.do("ACL", "LIST"), want)
	if err := os.WriteFile(file, []byte("user third on nopass ~* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.do("ACL", "LOAD")
	equal(t, "ACL USERS", d.do("ACL", "USERS"), "[default third]")
	d.stop()

	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = launch(t, "--dir", data, "--aclfile", file)
	d.wantExit(1)
	if !strings.Contains(d.log.String(), "users.acl:1 should start with user keyword") {
		t.Errorf("the log does not say what is wrong:\n%s", d.log.String())
	}
}

// TestSortNeedsEveryKey: what SORT reads by patterns are keys that no rule can be
// held against, so that the user must be permitted all.
func TestSortNeedsEveryKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := startDaemon(t, t.TempDir())
	d.do("RPUSH", "mine", "1", "2")
	d.do("ACL", "SETUSER", "some", "on", ">pw", "~mine", "+@all")
	d.do("ACL", "SETUSER", "all", "on", ">pw", "~*", "+@all")
	some, err := d.as("some", "pw")
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.as("all", "pw")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		line string
		bad  bool
	}{
		{"SORT mine", false}, {"SORT mine BY nosort", false}, {"SORT mine BY w_*", true}, {"SORT mine GET v_*", true}, {"SORT_RO mine GET #", true},
	} {
		var args []any
		for _, w := range strings.Fields(tt.line) {
			args = append(args, w)
		}
		if err := some.Do(ctx, args...).Err(); (err != nil) != tt.bad || tt.bad && !strings.Contains(err.Error(), "denied due to insufficient ACL permissions") {
			t.Errorf("%s: %v", tt.line, err)
		}
		if err := all.Do(ctx, args...).Err(); err != nil {
			t.Errorf("%s: %v", tt.line, err)
		}
	}
}

// TestSubscribersAreRevoked: whoever listens to what the user may not name any more
// is cut off, and nobody else.
func TestSubscribersAreRevoked(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir())
	d.do("ACL", "SETUSER", "u", "on", ">pw", "+@all", "&news.*", "&kept")
	listen := func(args ...string) *plainClient {
		c := d.plain()
		for _, cmd := range [][]string{{"AUTH", "u", "pw"}, args} {
			if v, err := c.Do(cmd...); err != nil || v.Err() != nil {
				t.Fatal(cmd, v, err)
			}
		}
		return c
	}
	channel, pattern, kept := listen("SUBSCRIBE", "news.a"), listen("PSUBSCRIBE", "news.*"), listen("SUBSCRIBE", "kept")
	d.do("ACL", "SETUSER", "u", "resetchannels", "&kept")
	for _, c := range []*plainClient{channel, pattern} {
		if _, err := resp.ReadReply(c.in); err == nil {
			t.Error("one who may not listen any more still does")
		}
	}
	if v, err := kept.Do("PING"); err != nil || v.Err() != nil {
		t.Errorf("one who may listen: %v, %v", v, err)
	}
}
