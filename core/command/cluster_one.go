package command

import (
	"math"
	"net"
)

// clusterOneHandlers are the subcommands of CLUSTER that change what a cluster is
// made of. This one has a single node, which has all slots and keeps them: what would
// not change that is accepted, the rest is refused, in Redis's words where it has them.
var clusterOneHandlers = handlers{
	"cluster|addslots":              inCluster(func(c *Ctx) { c.ownedSlots(1) }),
	"cluster|addslotsrange":         inCluster(func(c *Ctx) { c.ownedSlots(2) }),
	"cluster|delslots":              inCluster(func(c *Ctx) { c.ownedSlots(1) }),
	"cluster|delslotsrange":         inCluster(func(c *Ctx) { c.ownedSlots(2) }),
	"cluster|flushslots":            inCluster(clusterFlushSlots),
	"cluster|setslot":               inCluster(clusterSetSlot),
	"cluster|bumpepoch":             inCluster(func(c *Ctx) { c.Out.SimpleString("STILL 1") }),
	"cluster|set-config-epoch":      inCluster(clusterSetEpoch),
	"cluster|count-failure-reports": inCluster(clusterFailureReports),
	"cluster|failover":              inCluster(clusterFailover),
	"cluster|forget":                inCluster(clusterForget),
	"cluster|meet":                  inCluster(clusterMeet),
	"cluster|replicate":             inCluster(clusterReplicate),
	"cluster|reset":                 inCluster(clusterReset),
	"cluster|saveconfig":            inCluster(ok),
}

// errOnlyNode is why a slot is not given up, or a node is not met.
const errOnlyNode = "ERR This node is the only one of its cluster, and serves all slots"

// slotArg parses a slot.
func (c *Ctx) slotArg(arg []byte) (int, bool) {
	n, ok := parseInt(arg)
	if !ok || n < 0 || n >= NumSlots {
		c.Out.Error("ERR Invalid or out of range slot")
		return 0, false
	}
	return int(n), true
}

// ownedSlots replies to commands that add or remove slots, of which every one is this
// node's: the arguments are slots, or with 2 each, ranges.
func (c *Ctx) ownedSlots(each int) {
	if (len(c.Args)-2)%each != 0 {
		c.Out.Error(wrongArity(Lookup(c.Args[0]).Resolve(c.Args)))
		return
	}
	for i := 2; i < len(c.Args); i += each {
		slot, ok := c.slotArg(c.Args[i])
		if !ok {
			return
		}
		end, ok := c.slotArg(c.Args[i+each-1])
		if !ok {
			return
		}
		if slot > end {
			c.Out.Errorf("ERR start slot number %d is greater than end slot number %d", slot, end)
			return
		}
	}
	if is(c.Args[1], "addslots") || is(c.Args[1], "addslotsrange") {
		first, _ := parseInt(c.Args[2])
		c.Out.Errorf("ERR Slot %d is already busy", first)
		return
	}
	var named [NumSlots]bool
	for i := 2; i < len(c.Args); i += each {
		slot, _ := parseInt(c.Args[i])
		end, _ := parseInt(c.Args[i+each-1])
		for ; slot <= end; slot++ {
			if named[slot] {
				c.Out.Errorf("ERR Slot %d specified multiple times", slot)
				return
			}
			named[slot] = true
		}
	}
	c.Out.Error(errOnlyNode)
}

func clusterFlushSlots(c *Ctx) {
	switch keys, ok := c.numKeys(); {
	case !ok:
	case keys > 0:
		c.Out.Error("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
	default:
		c.Out.Error(errOnlyNode)
	}
}

func clusterSetSlot(c *Ctx) {
	slot, ok := c.slotArg(c.Args[2])
	if !ok {
		return
	}
	mine := len(c.Args) == 5 && is(c.Args[4], c.Engine.NodeID())
	switch how := c.Args[3]; {
	case is(how, "migrating") && len(c.Args) == 5 && !mine:
		c.Out.Errorf("ERR I don't know about node %s", c.Args[4])
	case is(how, "importing") && len(c.Args) == 5:
		c.Out.Errorf("ERR I'm already the owner of hash slot %d", slot)
	case is(how, "node") && len(c.Args) == 5 && !mine:
		c.Out.Errorf("ERR Unknown node %s", c.Args[4])
	case is(how, "stable") && len(c.Args) == 4, is(how, "node") && mine, is(how, "migrating") && mine:
		c.Out.OK() // it stays where it is
	default:
		c.Out.Error("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
	}
}

func clusterSetEpoch(c *Ctx) {
	n, ok := c.intArg(c.Args[2])
	switch {
	case !ok:
	case n < 0:
		c.Out.Errorf("ERR Invalid config epoch specified: %d", n)
	default:
		c.Out.Error("ERR Node config epoch is already non-zero")
	}
}

func clusterFailureReports(c *Ctx) {
	if !is(c.Args[2], c.Engine.NodeID()) {
		c.Out.Errorf("ERR Unknown node %s", c.Args[2])
		return
	}
	c.Out.Int(0)
}

func clusterFailover(c *Ctx) {
	if len(c.Args) > 3 {
		c.tooManyWords()
		return
	}
	if len(c.Args) == 3 && !is(c.Args[2], "force") && !is(c.Args[2], "takeover") {
		c.Out.Error(errSyntax)
		return
	}
	c.Out.Error("ERR You should send CLUSTER FAILOVER to a replica")
}

func clusterForget(c *Ctx) {
	if is(c.Args[2], c.Engine.NodeID()) {
		c.Out.Error("ERR I tried hard but I can't forget myself...")
		return
	}
	c.Out.Errorf("ERR Unknown node %s", c.Args[2])
}

func clusterMeet(c *Ctx) {
	if len(c.Args) > 5 {
		c.tooManyWords()
		return
	}
	port, ok := parseInt(c.Args[3])
	if !ok {
		c.Out.Errorf("ERR Invalid TCP base port specified: %s", c.Args[3])
		return
	}
	const above = 10000 // of the bus over the port, unless it is given
	bus := port + above
	if len(c.Args) == 5 {
		if bus, ok = parseInt(c.Args[4]); !ok {
			c.Out.Errorf("ERR Invalid TCP bus port specified: %s", c.Args[4])
			return
		}
	}
	if net.ParseIP(string(c.Args[2])) == nil || port < 1 || port > math.MaxUint16 || bus < 1 || bus > math.MaxUint16 {
		c.Out.Errorf("ERR Invalid node address specified: %s:%s", c.Args[2], c.Args[3])
		return
	}
	c.Out.Error(errOnlyNode + ": it meets no others")
}

func clusterReplicate(c *Ctx) {
	if is(c.Args[2], c.Engine.NodeID()) {
		c.Out.Error("ERR Can't replicate myself")
		return
	}
	c.Out.Errorf("ERR Unknown node %s", c.Args[2])
}

// clusterReset leaves a node without keys as it is: alone, with all slots and its name.
func clusterReset(c *Ctx) {
	switch {
	case len(c.Args) > 3:
		c.tooManyWords()
	case len(c.Args) == 3 && !is(c.Args[2], "hard") && !is(c.Args[2], "soft"):
		c.Out.Error(errSyntax)
	default:
		switch keys, ok := c.numKeys(); {
		case !ok:
		case keys > 0:
			c.Out.Error("ERR CLUSTER RESET can't be called with master nodes containing keys")
		default:
			c.Out.OK()
		}
	}
}

// numKeys counts the keys. ok is as visit's.
func (c *Ctx) numKeys() (n int, ok bool) {
	ok = c.sizes(func(_, keys int) { n += keys })
	return n, ok
}
