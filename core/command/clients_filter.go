package command

import (
	"net"
	"strings"
)

// clientFilter are the options of CLIENT LIST and CLIENT KILL: those of Redis, those
// which Valkey 9 has more, and its NOT- of each of them. A client passes if all hold.
type clientFilter struct {
	tests             map[string]func(ClientInfo) bool // by the option: the last of a kind counts
	ids, notIDs       map[int64]bool                   // all of a kind count
	skipMe, skipMeSet bool
}

func (f *clientFilter) accepts(i ClientInfo) bool {
	for _, holds := range f.tests {
		if !holds(i) {
			return false
		}
	}
	return (f.ids == nil || f.ids[i.ID]) && !f.notIDs[i.ID]
}

// clientFilter parses options, or replies with what is wrong with them.
func (c *Ctx) clientFilter(args [][]byte) (*clientFilter, bool) {
	f := &clientFilter{tests: map[string]func(ClientInfo) bool{}}
	for len(args) > 0 {
		if len(args) == 1 {
			c.Out.Error(errSyntax)
			return nil, false
		}
		opt := strings.ToLower(string(args[0]))
		name, not := strings.CutPrefix(opt, "not-")
		var ok bool
		if name == "id" {
			args, ok = c.clientIDs(f, args, not)
		} else {
			ok = c.clientTest(f, name, not, args[1])
			args = args[2:]
		}
		if !ok {
			return nil, false
		}
	}
	return f, true
}

// clientIDs parses an option with any number of IDs, and returns what is behind them.
func (c *Ctx) clientIDs(f *clientFilter, args [][]byte, not bool) ([][]byte, bool) {
	listing := is(c.Args[1], "list")
	kind, to := args[0], &f.ids
	if not {
		to = &f.notIDs
	}
	if *to == nil {
		*to = map[int64]bool{}
	}
	for first := true; ; first = false {
		args = args[1:]
		if len(args) == 0 {
			return nil, true
		}
		n, number := parseInt(args[0])
		switch {
		case number && (n > 0 || listing && is(kind, "id")): // nobody has 0
			(*to)[n] = true
		case !number && !first && (len(args) > 1 || !listing || not):
			return args, true // another option
		case listing && is(kind, "id"): // Redis 7.0's wording
			c.Out.Error("ERR Invalid client ID")
			return nil, false
		default:
			c.Out.Error("ERR client-id should be greater than 0")
			return nil, false
		}
	}
}

// clientTest parses an option with one value; not says that it has NOT- before its name.
func (c *Ctx) clientTest(f *clientFilter, name string, not bool, arg []byte) bool {
	val := string(arg)
	var test func(ClientInfo) bool
	switch name {
	case "addr":
		test = func(i ClientInfo) bool { return i.Addr == val }
	case "laddr":
		test = func(i ClientInfo) bool { return i.LAddr == val }
	case "ip":
		test = func(i ClientInfo) bool { return addrIP(i.Addr) == val }
	case "name":
		test = func(i ClientInfo) bool { return sameName(i.Name, val) }
	case "lib-name":
		test = func(i ClientInfo) bool { return sameName(i.LibName, val) }
	case "lib-ver":
		test = func(i ClientInfo) bool { return sameName(i.LibVer, val) }
	case "user":
		if !c.Engine.HasUser(val) {
			c.Out.Errorf("ERR No such user '%s'", val)
			return false
		}
		test = func(i ClientInfo) bool { return i.User == val }
	case "type":
		t, ok := ClientTypeNamed(val)
		if !ok {
			c.Out.Errorf("ERR Unknown client type '%s'", val)
			return false
		}
		test = func(i ClientInfo) bool { return i.Type == t }
	case "flags":
		if strings.ContainsFunc(val, func(r rune) bool { return !strings.ContainsRune(clientFlags, r) }) {
			where := "provided"
			if not {
				where = "NOT-FLAGS"
			}
			c.Out.Errorf("ERR Unknown flags found in the %s filter: %s", where, val)
			return false
		}
		test = func(i ClientInfo) bool {
			for _, flag := range val {
				if !strings.ContainsRune(i.Flags, flag) {
					return false
				}
			}
			return true
		}
	case "db":
		n, ok := c.clientNumber(name, not, arg)
		if !ok {
			return false
		}
		if n < 0 || n >= int64(c.KS.NumDatabases()) {
			c.Out.Errorf("ERR %s number should be between 0 and %d", notName("DB", not), c.KS.NumDatabases()-1)
			return false
		}
		test = func(i ClientInfo) bool { return int64(i.DB) == n }
	default:
		if not {
			c.Out.Error(errSyntax)
			return false
		}
		return c.clientTestOnly(f, name, arg)
	}
	if not {
		f.tests["not-"+name] = func(i ClientInfo) bool { return !test(i) }
	} else {
		f.tests[name] = test
	}
	return true
}

// clientTestOnly is clientTest for the options that have no NOT-.
func (c *Ctx) clientTestOnly(f *clientFilter, name string, arg []byte) bool {
	switch {
	case name == "maxage", name == "idle":
		n, ok := c.clientNumber(name, false, arg)
		if !ok {
			return false
		}
		if n <= 0 {
			c.Out.Errorf("ERR %s should be greater than 0", name)
			return false
		}
		f.tests[name] = func(i ClientInfo) bool {
			d := i.Idle
			if name == "maxage" {
				d = i.Age
			}
			return seconds(d) >= n
		}
	case name == "skipme" && is(arg, "yes"):
		f.skipMe, f.skipMeSet = true, true
	case name == "skipme" && is(arg, "no"):
		f.skipMe, f.skipMeSet = false, true
	default:
		c.Out.Error(errSyntax)
		return false
	}
	return true
}

// clientNumber parses the value of an option, or replies that it is no number.
func (c *Ctx) clientNumber(name string, not bool, arg []byte) (int64, bool) {
	n, ok := parseInt(arg)
	if !ok {
		if name == "db" {
			name = notName("DB", not)
		}
		c.Out.Errorf("ERR %s is not an integer or out of range", name)
	}
	return n, ok
}

// sameName tells whether a client has this name; one without has none, not an empty one.
func sameName(name, want string) bool { return name != "" && name == want }

func notName(name string, not bool) string {
	if not {
		return "NOT-" + name
	}
	return name
}

// clientFlags are the flags that CLIENT LIST knows, Valkey's included: a filter that
// asks for one of them is right, even if no client here ever has it.
const clientFlags = "ABEIMNOPRSTUbcdeirtux"

// addrIP is the address without its port.
func addrIP(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}
