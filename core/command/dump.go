package command

import (
	"errors"
	"math"

	"github.com/spillwaydb/spillway/core/rdb"
)

func dumpCommand(c *Ctx) {
	key := c.Args[1]
	e, found := c.lookup(key)
	if !found {
		c.Out.Null()
		return
	}
	if c.detach(c.db(key).Size(key, e.Type()), key) {
		return
	}
	payload, err := encode(c.db(key), key, e)
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.Bulk(rdb.SealDump(payload))
}

// restoreOptions are the options of RESTORE; -1 means not given.
type restoreOptions struct {
	replace, abs bool
	idle, freq   int64
}

func (c *Ctx) parseRestoreOptions(args [][]byte) (o restoreOptions, ok bool) {
	o.idle, o.freq = -1, -1
	for i := 0; i < len(args); i++ {
		more := i+1 < len(args)
		switch a := args[i]; {
		case is(a, "replace"):
			o.replace = true
		case is(a, "absttl"):
			o.abs = true
		case is(a, "idletime") && more && o.freq == -1:
			i++
			if o.idle, ok = c.intArg(args[i]); !ok {
				return o, false
			}
			if o.idle < 0 {
				c.Out.Error("ERR Invalid IDLETIME value, must be >= 0")
				return o, false
			}
		case is(a, "freq") && more && o.idle == -1:
			i++
			if o.freq, ok = c.intArg(args[i]); !ok {
				return o, false
			}
			if o.freq < 0 || o.freq > 255 {
				c.Out.Error("ERR Invalid FREQ value, must be >= 0 and <= 255")
				return o, false
			}
		default:
			c.Out.Error(errSyntax)
			return o, false
		}
	}
	return o, true
}

func restoreCommand(c *Ctx) {
	key := c.Args[1]
	o, ok := c.parseRestoreOptions(c.Args[4:])
	if !ok {
		return
	}
	_, found := c.lookupWrite(key)
	if found && !o.replace {
		c.Out.Error(errBusyKey)
		return
	}
	deadline, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if deadline < 0 {
		c.Out.Error("ERR Invalid TTL value, must be >= 0")
		return
	}
	payload := c.Args[3]
	if !c.Replaying && c.Engine.Debugging().SkipChecksums.Load() {
		payload = rdb.ResealDump(payload) // the log has one that is right
	}
	obj, err := rdb.DecodeDump(payload)
	if errors.Is(err, rdb.ErrDumpFooter) {
		c.Out.Error("ERR DUMP payload version or checksum are wrong")
		return
	}
	if err != nil || !wellFormed(obj) {
		c.Out.Error("ERR Bad data format")
		return
	}
	if deadline != 0 && !o.abs {
		deadline = min(deadline, math.MaxInt64-c.Now) + c.Now
	}
	d := c.db(key)
	if deadline != 0 && c.past(deadline) {
		if found {
			c.remove(key)
			c.LogAs(verbDel, key)
		}
		c.Out.OK()
		return
	}
	obj.ExpireMS, obj.LRU, obj.LFU = deadline, o.idle, int(o.freq)
	if err := d.Restore(key, obj); err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.renewed(c.DB, key)
	c.Changed(key, eventRestore)
	var tmp [20]byte
	c.LogAs(verbRestore, key, appendInt(tmp[:0], deadline), payload, wordReplace, wordAbsTTL)
	c.Out.OK()
}
