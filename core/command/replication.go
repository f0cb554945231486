package command

import (
	"strings"
	"time"
)

// There are no replicas. The engine itself is one while it takes over the data of
// another server, which a start decides and REPLICAOF NO ONE ends. Who asks for
// replication and wants only an RDB file gets one (rdbstream.go). What else does is
// refused with the errors of a Redis without replicas, where it has one.
var replicationHandlers = handlers{
	"replicaof": replicaOf,
	"slaveof":   replicaOf,
	"failover":  failover,
	"role":      role,
	"replconf":  replConf,
	"psync":     psyncCommand,
	"sync":      syncCommand,
}

func replicaOf(c *Ctx) {
	if c.Cluster {
		c.Out.Error("ERR REPLICAOF not allowed in cluster mode.")
		return
	}
	if is(c.Args[1], "no") && is(c.Args[2], "one") {
		promote(c)
		return
	}
	if port, ok := parseInt(c.Args[2]); !ok || port < 0 || port > 65535 {
		c.Out.Error("ERR Invalid master port")
		return
	}
	noReplication(c)
}

// promote makes the engine its own master, which it mostly is.
func promote(c *Ctx) {
	if c.Engine == nil || c.Engine.Replica() == nil {
		c.Out.OK()
		return
	}
	if !c.MayBlock {
		c.Out.Error("ERR REPLICAOF NO ONE waits for what the master has sent, and cannot in a transaction")
		return
	}
	if err := c.Engine.Promote(); err != nil {
		c.Out.Error(err.Error())
		return
	}
	c.Out.OK()
}

// Replica is an engine that follows another server.
type Replica struct {
	Host, Port string
	State      string        // as ROLE has it, or stopped
	Offset     int64         // up to which everything is applied
	ID         string        // the replication ID
	Heard      time.Duration // since the master last said something
	Down       time.Duration // since the link is down, 0 while it is up
	Err        string        // what ended the last link
	Syncing    bool          // the dataset comes
	Total      int64         // its bytes, -1 where nobody knows
	Received   int64         // of them
	Links      int64         // to the master that were made since the start
	Waiting    int64         // bytes of the stream that are applied and not durable yet
	ReadOnly   bool
}

// noReplication refuses to be a replica, or to have one.
func noReplication(c *Ctx) {
	c.Out.Errorf("ERR %s is not supported: this server has no replicas and is none.", strings.ToUpper(string(c.Args[0])))
}

func failover(c *Ctx) {
	if c.Cluster {
		c.Out.Error("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.")
		return
	}
	if len(c.Args) == 2 && is(c.Args[1], "abort") {
		c.Out.Error("ERR No failover in progress.")
		return
	}
	timeout, host, force := int64(0), false, false
	for i := 1; i < len(c.Args); i++ {
		more := len(c.Args) - i - 1
		var ok bool
		switch a := c.Args[i]; {
		case is(a, "timeout") && more >= 1 && timeout == 0:
			i++
			if timeout, ok = c.intArg(c.Args[i]); !ok {
				return
			}
			if timeout <= 0 {
				c.Out.Error("ERR FAILOVER timeout must be greater than 0")
				return
			}
		case is(a, "to") && more >= 2 && !host:
			i += 2
			if _, host = c.intArg(c.Args[i]); !host {
				return
			}
		case is(a, "force") && !force:
			force = true
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	c.Out.Error("ERR FAILOVER requires connected replicas.")
}

// role is that of a master that nobody replicates, or of a replica.
func role(c *Ctx) {
	if c.Engine != nil {
		if r := c.Engine.Replica(); r != nil {
			port, _ := parseInt([]byte(r.Port))
			c.Out.Array(5)
			c.Out.BulkString("slave")
			c.Out.BulkString(r.Host)
			c.Out.Int(port)
			c.Out.BulkString(r.State)
			c.Out.Int(r.Offset)
			return
		}
	}
	c.Out.Array(3)
	c.Out.BulkString("master")
	c.Out.Int(0)
	c.Out.Array(0)
}

// replConf takes what a replica says of itself before it asks for the data. An
// acknowledgement, and the request for one, have no reply.
func replConf(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Out.Error(errSyntax)
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		value := c.Args[i+1]
		switch a := c.Args[i]; {
		case is(a, "listening-port"):
			if _, ok := c.intArg(value); !ok {
				return
			}
		case is(a, "ip-address"):
			if len(value) >= maxHost {
				c.Out.Errorf("ERR REPLCONF ip-address provided by replica instance is too long: %d bytes", len(value))
				return
			}
		case is(a, "capa"):
			if is(value, "eof") {
				c.wish().Marked = true
			}
		case is(a, "ack"), is(a, "getack"):
			return
		case is(a, "rdb-only"):
			n, ok := c.intArg(value)
			if !ok {
				return
			}
			if n < 0 || n > 1 {
				c.Out.Error("ERR value is out of range, value must between 0 and 1") // Redis's wording
				return
			}
			c.wish().Only = n == 1
		case is(a, "rdb-filter-only"):
			if !c.filterRDB(value) {
				return
			}
		default:
			c.Out.Errorf("ERR Unrecognized REPLCONF option: %s", a)
			return
		}
	}
	c.Out.OK()
}

// maxHost is the longest name of a host that Redis keeps, with its end.
const maxHost = 256
