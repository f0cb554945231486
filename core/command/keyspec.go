package command

import "errors"

// KeyFlags say what a command does to one of its keys. One of KeyRO to KeyRM is
// always set; KeyAccess to KeyDelete say what is done to the user's data, and
// decide what a user must be permitted.
type KeyFlags uint16

// The flags of a key. The first four are about the value and what goes with it,
// its type, length or deadline; the next four about the data that users store.
const (
	KeyRO            KeyFlags = 1 << iota // the value is read only
	KeyRW                                 // the value is changed, depending on what it was
	KeyOW                                 // the value is overwritten, whatever it was
	KeyRM                                 // the key is removed
	KeyAccess                             // data is returned, copied or compared
	KeyUpdate                             // data is overwritten
	KeyInsert                             // data is added
	KeyDelete                             // data is removed
	KeyNotKey                             // no key, but placed as if it were one
	KeyIncomplete                         // not all keys are found by the specification
	KeyVariableFlags                      // what is done depends on the arguments
)

var keyFlagNames = []named[KeyFlags]{
	{KeyRO, "RO"}, {KeyRW, "RW"}, {KeyOW, "OW"}, {KeyRM, "RM"}, {KeyAccess, "access"}, {KeyUpdate, "update"}, {KeyInsert, "insert"},
	{KeyDelete, "delete"}, {KeyNotKey, "not_key"}, {KeyIncomplete, "incomplete"}, {KeyVariableFlags, "variable_flags"},
}

// Reads tells whether the user must be permitted to read the key.
func (f KeyFlags) Reads() bool { return f&KeyAccess != 0 }

// Writes tells whether the user must be permitted to write the key.
func (f KeyFlags) Writes() bool { return f&(KeyUpdate|KeyInsert|KeyDelete) != 0 }

// Changes tells whether the key may not be the same afterwards.
func (f KeyFlags) Changes() bool { return f&(KeyRW|KeyOW|KeyRM) != 0 }

// KeySpec is one of Redis's key specifications: where to begin to look for
// keys, how to find them from there, and what is done to them.
type KeySpec struct {
	Flags KeyFlags
	Begin BeginSearch
	Find  FindKeys

	Index     int    // BeginIndex: the argument
	Keyword   string // BeginKeyword: the word before the argument
	StartFrom int    // BeginKeyword: where to look for it; if negative, backwards from there, -1 being the last argument

	Last     int // FindRange: from the first key to the last; if negative, from the end of the arguments
	Limit    int // FindRange with Last -1: 2 means half of the remaining arguments, 3 a third; 0 means all
	NumIndex int // FindKeyNum: from the beginning to the number of keys
	FirstKey int // FindKeyNum: from the beginning to the first key
	Step     int // from one key to the next

	Notes string // what else there is to know; may be empty
}

// BeginSearch says how a KeySpec finds its beginning.
type BeginSearch uint8

// The ways to find the beginning.
const (
	BeginUnknown BeginSearch = iota // it does not: the command has a function for it
	BeginIndex                      // it is always the same argument
	BeginKeyword                    // it is behind a word
)

// FindKeys says how a KeySpec finds keys from its beginning on.
type FindKeys uint8

// The ways to find keys.
const (
	FindUnknown FindKeys = iota // it does not: the command has a function for it
	FindRange                   // up to some argument
	FindKeyNum                  // as many as an argument says
)

// Key is a key among a command's arguments.
type Key struct {
	At    int // its position
	Flags KeyFlags
}

// errNoKeys is for arguments that are too few for the command's key positions.
var errNoKeys = errors.New("Invalid number of arguments specified for command") // Redis's wording

// errNoMoreKeys is errNoKeys for a range that is empty because the arguments end, as
// of PFMERGE with a destination only. Redis finds no keys then, and executes the
// command all the same; what comes with this error are the keys before the range.
var errNoMoreKeys = errors.New(errNoKeys.Error())

// Keys returns the keys among args in the order of the key specifications, a
// key more than once if the command names it more than once.
func (cmd *Command) Keys(args [][]byte) ([]Key, error) { return cmd.AppendKeys(nil, args) }

// AppendKeys is Keys into a slice that can be reused. Arguments that count the
// keys, and count them wrong, have none: the handler refuses them.
func (cmd *Command) AppendKeys(dst []Key, args [][]byte) ([]Key, error) {
	if cmd.Sub != nil {
		if sub := cmd.Resolve(args); sub != cmd {
			return sub.AppendKeys(dst, args)
		}
	}
	if cmd.keys != nil {
		return cmd.keys(dst, args), nil
	}
	return cmd.appendSpecified(dst, args)
}

// appendSpecified is AppendKeys by the key specifications alone.
func (cmd *Command) appendSpecified(dst []Key, args [][]byte) ([]Key, error) {
	have := len(dst)
	for i := range cmd.KeySpecs {
		spec := &cmd.KeySpecs[i]
		if spec.Flags&KeyNotKey != 0 {
			continue
		}
		first := spec.Index
		if spec.Begin != BeginIndex {
			if first = spec.behind(args); first == 0 {
				continue // an optional word is not there
			}
		}
		var last int
		if spec.Find == FindKeyNum {
			n := keyNum(args, first+spec.NumIndex)
			first += spec.FirstKey
			last = first + (n-1)*spec.Step
			if n == 0 || last >= len(args) {
				return dst[:have], nil
			}
		} else if last = spec.last(args, first); i > 0 && first == len(args) && last == first-1 {
			return dst, errNoMoreKeys
		} else if first >= len(args) || last >= len(args) || last < first {
			return dst[:have], errNoKeys
		}
		for at := first; at <= last; at += spec.Step {
			dst = append(dst, Key{at, spec.Flags})
		}
	}
	return dst, nil
}

// behind returns the argument behind the keyword, 0 when that is not there.
func (k *KeySpec) behind(args [][]byte) int {
	from, to, step := k.StartFrom, len(args)-1, 1 // a word without arguments behind it is none
	if from < 0 {
		from, to, step = len(args)+from, 1, -1
	}
	for i := from; i != to && i > 0 && i < len(args); i += step {
		if sameWord(args[i], k.Keyword) {
			return i + 1
		}
	}
	return 0
}

// sameWord tells whether an argument is a word, in any case of either.
func sameWord(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, ch := range arg {
		if lower(ch) != lower(word[i]) {
			return false
		}
	}
	return true
}

// last returns the last argument of a range that begins with first.
func (k *KeySpec) last(args [][]byte, first int) int {
	switch {
	case k.Last >= 0:
		return first + k.Last
	case k.Limit == 0:
		return len(args) + k.Last
	default:
		return first + (len(args)-first)/k.Limit - 1
	}
}

// keyNum reads the number of keys, of which there is at least one and at most
// as many as arguments; 0 if that is not so.
func keyNum(args [][]byte, at int) int {
	if at >= len(args) {
		return 0
	}
	n, ok := parseInt(args[at])
	if !ok || n < 1 || n > int64(len(args)) {
		return 0
	}
	return int(n)
}

// keyFinder finds the keys of a command that key specifications do not
// describe exactly. Of arguments that the handler refuses it may find none.
type keyFinder func(dst []Key, args [][]byte) []Key

// keyFinders are those of the commands that have one: each has a specification
// with variable flags, an incomplete one, one that is not known, or one whose keyword
// may be something else.
var keyFinders = map[string]keyFinder{
	"set":        setKeys,
	"bitfield":   bitfieldKeys,
	"sort":       sortKeys,
	"sort_ro":    func(dst []Key, _ [][]byte) []Key { return append(dst, Key{1, KeyRO | KeyAccess}) },
	"migrate":    migrateKeys,
	"xread":      readKeys,
	"xreadgroup": readKeys,
}

// readKeys finds the keys of XREAD and XREADGROUP, behind the word STREAMS that is no
// argument of an option: a consumer may have that name. Where the handler will refuse
// the arguments they are those that the specification finds.
func readKeys(dst []Key, args [][]byte) []Key {
	for i := 1; i < len(args); i++ {
		switch {
		case is(args[i], "block"), is(args[i], "count"), is(args[i], "claim"):
			i++
			continue
		case is(args[i], "group"):
			i += 2
			continue
		case is(args[i], "noack"):
			continue
		case is(args[i], "streams") && (len(args)-i)%2 == 1:
			for k := range (len(args) - 1 - i) / 2 {
				dst = append(dst, Key{i + 1 + k, KeyRO | KeyAccess})
			}
			return dst
		}
		break
	}
	dst, _ = Lookup(args[0]).appendSpecified(dst, args) // none if it finds an error
	return dst
}

// setKeys finds the key of SET, which is read with the option GET and with the
// conditions about its value only.
func setKeys(dst []Key, args [][]byte) []Key {
	for _, a := range args[min(3, len(args)):] {
		if is(a, "get") || comparisonNamed(a) != nil {
			return append(dst, Key{1, KeyRW | KeyAccess | KeyUpdate})
		}
	}
	return append(dst, Key{1, KeyOW | KeyUpdate})
}

// bitfieldKeys finds the key of BITFIELD, which is only read without SET and INCRBY.
func bitfieldKeys(dst []Key, args [][]byte) []Key {
	for i := 2; i < len(args); i++ {
		switch more := len(args) - i - 1; {
		case is(args[i], "get") && more >= 2:
			i += 2
		case is(args[i], "overflow") && more >= 1:
			i++
		default: // a write, or what the handler refuses
			return append(dst, Key{1, KeyRW | KeyAccess | KeyUpdate})
		}
	}
	return append(dst, Key{1, KeyRO | KeyAccess})
}

// sortKeys finds the keys of SORT that it names: the one that is sorted, and that of
// the last STORE.
func sortKeys(dst []Key, args [][]byte) []Key {
	store := 0
	for i := 2; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "limit"):
			i += 2
		case is(a, "get"), is(a, "by"):
			i++
		case is(a, "store") && i+1 < len(args):
			store = i + 1
		}
	}
	dst = append(dst, Key{1, KeyRO | KeyAccess})
	if store > 0 {
		dst = append(dst, Key{store, KeyOW | KeyUpdate})
	}
	return dst
}

// storeFinders find keys whose shards are locked although no key specification places
// them: of several STORE options the last counts, and a specification places the first;
// and DEBUG has none.
var storeFinders = map[string]keyFinder{
	"georadius":         storeKeys,
	"georadiusbymember": storeKeys,
	"debug":             debugKeys,
}

// storeKeys finds the keys behind STORE and STOREDIST.
func storeKeys(dst []Key, args [][]byte) []Key {
	for i := 2; i+1 < len(args); i++ {
		if is(args[i], "store") || is(args[i], "storedist") {
			dst = append(dst, Key{i + 1, KeyOW | KeyUpdate})
		}
	}
	return dst
}

// placeKeys derives from the key specifications what is asked for most: whether
// there are keys, the position of an only key, and the range that COMMAND INFO
// tells, as Redis derives it.
func (cmd *Command) placeKeys() {
	keys := 0
	for i := range cmd.KeySpecs {
		if cmd.KeySpecs[i].Flags&KeyNotKey == 0 {
			keys++
		}
	}
	cmd.HasKeys = keys > 0
	for _, sub := range cmd.Sub {
		cmd.HasKeys = cmd.HasKeys || sub.HasKeys
	}
	if len(cmd.KeySpecs) == 0 {
		return
	}
	one := &cmd.KeySpecs[0]
	if len(cmd.KeySpecs) == 1 && one.Begin == BeginIndex && one.Find == FindRange {
		cmd.First, cmd.Last, cmd.Step = one.Index, one.Last, one.Step
		if one.Last >= 0 {
			cmd.Last += one.Index
		}
		if one.Flags&KeyIncomplete != 0 {
			cmd.Flags |= MovableKeys
		} else if one.Last == 0 && keys == 1 && cmd.Flags&(AllShards|Patterns) == 0 {
			cmd.OnlyKey = one.Index
		}
		return
	}
	cmd.joinRanges()
}

// joinRanges makes one range of the specifications that are ranges, each
// beginning where the one before it ends.
func (cmd *Command) joinRanges() {
	for i := range cmd.KeySpecs {
		k := &cmd.KeySpecs[i]
		adjacent := cmd.Last == 0 || cmd.Last == k.Index-1
		if k.Begin != BeginIndex || k.Find != FindRange || k.Step != 1 || !adjacent {
			cmd.Flags |= MovableKeys
			continue
		}
		if k.Flags&KeyIncomplete != 0 {
			cmd.Flags |= MovableKeys
		}
		if cmd.First == 0 {
			cmd.First, cmd.Step = k.Index, 1
		}
		cmd.Last = k.Last
		if k.Last >= 0 {
			cmd.Last += k.Index
		}
	}
}
