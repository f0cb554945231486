package command

import "github.com/spillwaydb/spillway/core/keyspace"

// setOptions are the options of SET, GETEX and MSETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	compare                       *comparison // of the value that there is, nil for none
	other                         []byte      // what it is compared with
	expire                        []byte      // the argument of EX, PX, EXAT or PXAT
	seconds, relative             bool        // what kind it is
}

// setOptionsOf says which options a command takes beside a time to live.
type setOptionsOf struct{ exists, compare, get, keepTTL, persist bool }

var (
	setTakes    = setOptionsOf{exists: true, compare: true, get: true, keepTTL: true}
	getexTakes  = setOptionsOf{persist: true}
	msetexTakes = setOptionsOf{exists: true, keepTTL: true}
)

// matches tells whether the value of a key is what it has to be for the key to be set.
// The value is a string if it is compared.
func (o *setOptions) matches(e keyspace.Entry, found bool) bool {
	switch {
	case o.compare == nil:
		return (!o.nx || !found) && (!o.xx || found)
	case !found:
		return o.compare.differs // what is not there equals nothing
	}
	return o.compare.holds(e.Bytes(), o.other)
}

// parseSetOptions reads those options that a command takes.
func parseSetOptions(args [][]byte, takes setOptionsOf) (o setOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		seconds, relative := false, false
		switch {
		case takes.exists && is(a, "nx") && !o.xx && o.compare == nil:
			o.nx = true
			continue
		case takes.exists && is(a, "xx") && !o.nx && o.compare == nil:
			o.xx = true
			continue
		case takes.compare && comparisonNamed(a) != nil && !o.nx && !o.xx && o.compare == nil && i+1 < len(args):
			o.compare, o.other = comparisonNamed(a), args[i+1]
			i++
			continue
		case takes.get && is(a, "get"):
			o.get = true
			continue
		case takes.keepTTL && is(a, "keepttl") && o.expire == nil:
			o.keepTTL = true
			continue
		case takes.persist && is(a, "persist") && o.expire == nil:
			o.persist = true
			continue
		case is(a, "ex"):
			seconds, relative = true, true
		case is(a, "px"):
			relative = true
		case is(a, "exat"):
			seconds = true
		case is(a, "pxat"):
		default:
			return o, false
		}
		again := o.expire != nil && (o.seconds != seconds || o.relative != relative)
		if again || o.keepTTL || o.persist || i+1 == len(args) {
			return o, false
		}
		i++
		o.expire, o.seconds, o.relative = args[i], seconds, relative
	}
	return o, true
}

// optionalDeadline is the deadline that the options give, 0 for none, as c.deadline
// judges it: !ok means that the reply is written.
func (c *Ctx) optionalDeadline(o *setOptions, cmd string) (deadline int64, ok bool) {
	if o.expire == nil {
		return 0, true
	}
	return c.deadline(o.expire, o.seconds, o.relative, cmd)
}
