package acl

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/command"
)

func words(line string) [][]byte {
	var args [][]byte
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	return args
}

// resolve finds the command of a line, a subcommand where there is one.
func resolve(t *testing.T, args [][]byte) *command.Command {
	t.Helper()
	cmd := command.Lookup(args[0])
	if cmd == nil {
		t.Fatalf("there is no command %s", args[0])
	}
	return cmd.Resolve(args)
}

// TestCheck: what a user with certain rules may do.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		rules, line string
		want        Reason
		arg         int
	}{
		{"", "get k", DeniedCommand, 0},
		{"+get", "get k", DeniedKey, 1},
		{"+get ~k", "get k", Allowed, 0},
		{"+get ~k", "GET kk", DeniedKey, 1},
		{"+get ~k*", "get kk", Allowed, 0},
		{"+@all ~*", "flushall", Allowed, 0},
		{"+@all -flushall ~*", "flushall", DeniedCommand, 0},
		{"+@all -@dangerous ~*", "flushall", DeniedCommand, 0},
		{"+@all -@dangerous +flushall ~*", "flushall", Allowed, 0},
		{"+@read ~*", "get k", Allowed, 0},
		{"+@read ~*", "set k v", DeniedCommand, 0},
		{"allcommands allkeys nocommands", "get k", DeniedCommand, 0},
		{"allcommands allkeys resetkeys", "get k", DeniedKey, 1},

		// Before AUTH everything is permitted that needs none.
		{"", "auth x", Allowed, 0},
		{"", "hello", Allowed, 0},
		{"", "ping", DeniedCommand, 0},

		// Subcommands.
		{"+config|get", "config get x", Allowed, 0},
		{"+config|get", "config set x y", DeniedCommand, 0},
		{"+config -config|set", "config get x", Allowed, 0},
		{"+config -config|set", "config set x y", DeniedCommand, 0},
		{"+@all -config", "config get x", DeniedCommand, 0},

		// A first argument.
		{"+select|3", "select 3", Allowed, 0},
		{"+select|3", "select 2", DeniedCommand, 0},
		{"+select|3 +select|2", "select 2", Allowed, 0},
		{"+select|3 -select", "select 3", DeniedCommand, 0},
		{"+select|3 -@all", "select 3", DeniedCommand, 0},

		// Reading and writing.
		{"+@all %R~r* %W~w*", "get r1", Allowed, 0},
		{"+@all %R~r* %W~w*", "get w1", DeniedKey, 1},
		{"+@all %R~r* %W~w*", "set w1 v", Allowed, 0},
		{"+@all %R~r* %W~w*", "set w1 v get", DeniedKey, 1},
		{"+@all %RW~w*", "set w1 v get", Allowed, 0},
		{"+@all %R~w* %W~w*", "set w1 v get", Allowed, 0}, // one pattern of both
		{"+@all %R~r* %W~w*", "copy r1 w1", Allowed, 0},
		{"+@all %R~r* %W~w*", "copy w1 r1", DeniedKey, 1},
		{"+@all %R~r* %W~w*", "copy r1 r1", DeniedKey, 2},
		{"+@all %R~r*", "exists r1", Allowed, 0},
		{"+@all %W~w*", "exists w1", Allowed, 0}, // it reads no data
		{"+@all %W~w*", "exists w1 x", DeniedKey, 2},
		{"+@all %W~w*", "mget w1", DeniedKey, 1},
		{"+@all ~a ~b", "mset a 1 b 2", Allowed, 0},
		{"+@all ~a ~b", "mset a 1 b 2 c 3", DeniedKey, 5},

		// Selectors are alternatives, and one must permit all.
		{"+get ~a (+set ~b)", "get a", Allowed, 0},
		{"+get ~a (+set ~b)", "set b v", Allowed, 0},
		{"+get ~a (+set ~b)", "get b", DeniedKey, 1},
		{"+get ~a (+set ~b)", "set a v", DeniedKey, 1},
		{"+mget ~a (+mget ~b)", "mget a b", DeniedKey, 2},
		{"+get ~a ( +set ~b )", "set b v", Allowed, 0},
		{"+get ~a (+set ~b) clearselectors", "set b v", DeniedCommand, 0},
		{"+get ~a (+set ~b) reset", "get a", DeniedCommand, 0},
	} {
		t.Run(tt.rules+": "+tt.line, func(t *testing.T) {
			s := NewStore()
			if _, err := s.SetUser("u", strings.Fields(tt.rules)); err != nil {
				t.Fatal(err)
			}
			args := words(tt.line)
			if got := s.User("u").Check(resolve(t, args), args); got != (Denial{tt.want, tt.arg}) {
				t.Errorf("%v", got)
			}
			// What describes the user makes the same one.
			line := s.User("u").Line()
			twin := NewStore()
			if _, err := twin.Load(line, "file"); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if got := twin.User("u").Check(resolve(t, args), args); got != (Denial{tt.want, tt.arg}) {
				t.Errorf("as %q: %v", line, got)
			}
			if got := twin.User("u").Line(); got != line {
				t.Errorf("%q is described as %q", line, got)
			}
		})
	}
}

func TestBadRules(t *testing.T) {
	for _, tt := range []struct{ rules, want string }{
		{"+nosuch", "'+nosuch': Unknown command or category name in ACL"},
		{"-nosuch", "'-nosuch': Unknown command or category name in ACL"},
		{"+@nosuch", "'+@nosuch': Unknown command or category name in ACL"},
		{"+config|nosuch", "Unknown command"},
		{"-select|3", "Unknown command"},
		{"+config|get|x", "Allowing first-arg of a subcommand is not supported"},
		{"+select|", "Syntax error"},
		{"nosuch", "'nosuch': Syntax error"},
		{"%~x", "Syntax error"},
		{"%RR~x", "Syntax error"},
		{"%X~x", "Syntax error"},
		{"~* ~x", "Adding a pattern after the * pattern (or the 'allkeys' flag)"},
		{"&* &x", "Adding a pattern after the * pattern (or the 'allchannels' flag)"},
		{"#abc", "The password hash must be exactly 64 characters"},
		{"#" + strings.Repeat("A", 64), "The password hash must be exactly 64 characters"},
		{"<nosuch", "The password you are trying to remove from the user does not exist"},
		{"(+get ~x", "Unmatched parenthesis in acl selector starting at '(+get'."},
		{"(+nosuch)", "'(+nosuch)': Unknown command or category name in ACL"},
		{"+get (on)", "Syntax error"},
	} {
		s := NewStore()
		before := s.Text()
		_, err := s.SetUser("default", append([]string{"-@all", "resetkeys", "resetchannels", "off"}, strings.Fields(tt.rules)...))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.rules, err)
		}
		if s.Text() != before {
			t.Errorf("%q: half of it was applied: %s", tt.rules, s.Text())
		}
	}
}

func TestAuthenticate(t *testing.T) {
	s := NewStore()
	set := func(rules ...string) {
		t.Helper()
		if _, err := s.SetUser("u", rules); err != nil {
			t.Fatal(err)
		}
	}
	try := func(pass string, want bool) {
		t.Helper()
		u, err := s.Authenticate("u", pass)
		if (err == nil) != want || want && u != s.User("u") {
			t.Errorf("with %q: %v", pass, err)
		}
	}
	if _, err := s.Authenticate("u", ""); err == nil {
		t.Error("a user who is not there may come in")
	}
	set("+@all")
	try("", false)
	set("on")
	try("", false)
	set(">one", ">two", "#"+hash("three"), ">one")
	for _, p := range []string{"one", "two", "three"} {
		try(p, true)
	}
	try("four", false)
	set("<two", "!"+hash("three"))
	try("two", false)
	try("three", false)
	try("one", true)
	set("nopass")
	try("anything", true)
	set(">new")
	try("anything", false)
	try("new", true)
	set("off")
	try("new", false)

	if s.Default().NeedsPassword() {
		t.Error("the default user needs a password at first")
	}
	s.SetPassword("pw")
	if !s.Default().NeedsPassword() {
		t.Error("with requirepass no password is needed")
	}
	if _, err := s.Authenticate(DefaultName, "pw"); err != nil {
		t.Error(err)
	}
	s.SetPassword("")
	if s.Default().NeedsPassword() {
		t.Error("without requirepass a password is needed")
	}
}

// TestChannels: which channels a user may name, and what a change takes away.
func TestChannels(t *testing.T) {
	s := NewStore()
	set := func(rules string) func(string, bool) bool {
		t.Helper()
		lost, err := s.SetUser("u", strings.Fields(rules))
		if err != nil {
			t.Fatal(err)
		}
		return lost
	}
	check := func(channel string, pattern, want bool) {
		t.Helper()
		if got := s.User("u").CheckChannel([]byte(channel), pattern); got != want {
			t.Errorf("%s (pattern %v): %v", channel, pattern, got)
		}
	}
	set("on +@all")
	check("c", false, false)
	set("&news.*")
	check("news.x", false, true)
	check("news.*", true, true)
	check("news.x", true, false) // only the pattern itself
	check("c", false, false)
	if lost := set("&c"); lost != nil {
		t.Error("something was taken away by a rule that adds")
	}
	lost := set("resetchannels &c")
	if lost == nil || !lost("news.x", false) || lost("c", false) || !lost("news.*", true) {
		t.Error("news.* was taken away, c was not")
	}
	if set("allchannels") != nil || set("+get") != nil {
		t.Error("something was taken away from a user with all channels")
	}
	if set("(&c)") != nil {
		t.Error("a selector takes away")
	}
	if lost := set("resetchannels"); lost == nil || lost("c", false) || !lost("d", false) {
		t.Error("of all channels c is left, by the selector")
	}
	s.AllChannels.Store(true)
	if _, err := s.SetUser("v", nil); err != nil || !s.User("v").CheckChannel([]byte("x"), false) {
		t.Error("acl-pubsub-default allchannels has no effect")
	}
}

func TestDelete(t *testing.T) {
	s := NewStore()
	if _, err := s.SetUser("u", []string{"on", "+@all", "~*"}); err != nil {
		t.Fatal(err)
	}
	u := s.User("u")
	if _, err := s.Delete("u", "default"); err == nil || s.User("u") == nil {
		t.Errorf("the default user was removed, or another all the same: %v", err)
	}
	gone, err := s.Delete("u", "nobody")
	if err != nil || len(gone) != 1 || gone[0] != u || s.User("u") != nil {
		t.Errorf("%v, %v", gone, err)
	}
	if u.Check(command.Lookup([]byte("get")), words("get k")).Reason == Allowed {
		t.Error("a user who was removed may go on")
	}
}

func TestFile(t *testing.T) {
	s := NewStore()
	for name, rules := range map[string]string{
		"alice":   "on >secret ~a* %R~b &c +@all -@dangerous +flushdb (+get ~x)",
		"bob":     "off nopass skip-sanitize-payload +@string -get +select|1",
		"default": "on >pw resetkeys ~d -@all +@connection",
	} {
		if _, err := s.SetUser(name, strings.Fields(rules)); err != nil {
			t.Fatal(err)
		}
	}
	text := s.Text()
	twin := NewStore()
	def := twin.Default()
	if _, err := twin.SetUser("carol", nil); err != nil {
		t.Fatal(err)
	}
	gone, err := twin.Load(text, "users.acl")
	if err != nil {
		t.Fatal(err)
	}
	if got := twin.Text(); got != text {
		t.Errorf("saved\n%s\nand loaded\n%s", text, got)
	}
	if len(gone) != 1 || gone[0].Name() != "carol" {
		t.Errorf("gone are %v", gone)
	}
	if twin.Default() != def || !def.NeedsPassword() {
		t.Error("the default user is another one, or has its old rules")
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "pw") {
		t.Errorf("a password is in the file:\n%s", text)
	}

	// Without the default user in it, that is what it is at the start.
	if _, err := twin.Load("\n  \nuser x on\r\n", "users.acl"); err != nil || def.NeedsPassword() || twin.User("alice") != nil {
		t.Errorf("%v", err)
	}
	before := twin.Text()
	_, err = twin.Load("user a on\nuser b +nosuch +neither\nusers c\nuser a\nuser d (+get\nuser e what why", "users.acl")
	if err == nil || twin.Text() != before {
		t.Fatalf("%v", err)
	}
	want := "users.acl:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. " +
		"users.acl:2: Error in applying operation '+neither': Unknown command or category name in ACL. " +
		"users.acl:3 should start with user keyword followed by the username. " +
		"WARNING: Duplicate user 'a' found on line 4. " +
		"users.acl:5: Unmatched parenthesis in selector definition." +
		"users.acl:6: Syntax error. " +
		"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
	if err.Error() != want {
		t.Errorf("%s\nwant\n%s", err, want)
	}
}

func TestLog(t *testing.T) {
	var l Log
	l.SetMaxLen(3)
	at := time.Unix(1_700_000_000, 0)
	note := func(object string, after time.Duration) {
		l.Note(Entry{Reason: DeniedKey, Context: "toplevel", Object: object, Username: "u", At: at.Add(after)})
	}
	seen := func() (s string) {
		for _, e := range l.Newest(10) {
			s += fmt.Sprint(" ", e.Object, "×", e.Count)
		}
		return s
	}
	for _, step := range []struct {
		object string
		after  time.Duration
		want   string
	}{
		{"a", 0, " a×1"},
		{"b", time.Second, " b×1 a×1"},
		{"a", 2 * time.Second, " a×2 b×1"},
		{"a", 2 * time.Minute, " a×1 a×2 b×1"},
		{"c", 2 * time.Minute, " c×1 a×1 a×2"},
	} {
		note(step.object, step.after)
		if got := seen(); got != step.want {
			t.Fatalf("after %s: %s, want %s", step.object, got, step.want)
		}
	}
	if n := len(l.Newest(1)); n != 1 {
		t.Errorf("%d of 1 entries", n)
	}
	l.SetMaxLen(1)
	if got := seen(); got != " c×1" {
		t.Error(got)
	}
	l.SetMaxLen(0)
	note("d", 0)
	if got := seen(); got != "" {
		t.Error(got)
	}
}

// TestConcurrent: whoever checks sees the rules of before a change or of after it.
func TestConcurrent(t *testing.T) {
	s := NewStore()
	if _, err := s.SetUser("u", strings.Fields("on +get ~a (+set ~b)")); err != nil {
		t.Fatal(err)
	}
	u, args := s.User("u"), words("get a")
	get := command.Lookup([]byte("get"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if d := u.Check(get, args); d.Reason != Allowed {
					t.Errorf("%v", d)
					return
				}
				_ = s.Text()
			}
		})
	}
	for range 200 {
		if _, err := s.SetUser("u", strings.Fields("resetkeys nocommands +@hash +get ~a")); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

func BenchmarkCheckDefault(b *testing.B) {
	u, get, args := NewStore().Default(), command.Lookup([]byte("get")), words("get a")
	for b.Loop() {
		if u.Check(get, args).Reason != Allowed {
			b.Fatal()
		}
	}
}
