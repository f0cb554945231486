package command

import (
	"fmt"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/resp"
)

// With cluster-enabled the engine is a cluster of one node that owns all slots:
// clients that are made for clusters can be used unchanged. What would add nodes,
// or give slots away, does not exist.
var clusterHandlers = handlers{
	"cluster|slots":           inCluster(clusterSlots),
	"cluster|shards":          inCluster(clusterShards),
	"cluster|nodes":           inCluster(clusterNodes),
	"cluster|myid":            inCluster(func(c *Ctx) { c.Out.BulkString(c.Engine.NodeID()) }),
	"cluster|info":            inCluster(clusterInfo),
	"cluster|links":           inCluster(func(c *Ctx) { c.Out.Array(0) }),
	"cluster|replicas":        inCluster(clusterReplicas),
	"cluster|slaves":          inCluster(clusterReplicas),
	"cluster|keyslot":         inCluster(func(c *Ctx) { c.Out.Int(int64(KeySlot(c.Args[2]))) }),
	"cluster|countkeysinslot": inCluster(clusterCountKeys),
	"cluster|getkeysinslot":   inCluster(clusterGetKeys),
	"cluster|help":            inCluster(help),
	"asking":                  inCluster(ok),
	"readonly":                inCluster(ok),
	"readwrite":               inCluster(ok),
}

func ok(c *Ctx) { c.Out.OK() }

// inCluster refuses a command without cluster-enabled.
func inCluster(h Handler) Handler {
	return func(c *Ctx) {
		if !c.Cluster {
			c.Out.Error("ERR This instance has cluster support disabled")
			return
		}
		h(c)
	}
}

// NumSlots is how many slots the keys of a cluster are divided into.
const NumSlots = 16384

// KeySlot is the slot of a key: the CRC16 of what its first braces enclose, or of
// all of it (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
func KeySlot(key []byte) int {
	for i, b := range key {
		if b != '{' {
			continue
		}
		for j := i + 1; j < len(key); j++ {
			if key[j] == '}' {
				if j > i+1 {
					key = key[i+1 : j]
				}
				break
			}
		}
		break
	}
	crc := uint16(0)
	for _, b := range key {
		crc = crc<<8 ^ crc16Table[byte(crc>>8)^b]
	}
	return int(crc % NumSlots)
}

// crc16Table is of the polynomial x^16+x^12+x^5+1, as XMODEM has it.
var crc16Table = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			high := crc & 0x8000
			if crc <<= 1; high != 0 {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()

// CrossSlot is the reply to a command whose keys are not all in one slot.
const CrossSlot = "CROSSSLOT Keys in request don't hash to the same slot"

// OneSlot tells whether the keys of a command are in the slot that slot points to,
// which is set to that of the first if it is negative.
func (cmd *Command) OneSlot(args [][]byte, slot *int) bool {
	keys, err := cmd.Keys(args)
	if err != nil {
		return true // the handler complains
	}
	for _, k := range keys {
		switch n := KeySlot(args[k.At]); {
		case *slot < 0:
			*slot = n
		case n != *slot:
			return false
		}
	}
	return true
}

func clusterSlots(c *Ctx) {
	n := c.node()
	c.Out.Array(1)
	c.Out.Array(3)
	c.Out.Int(0)
	c.Out.Int(NumSlots - 1)
	c.Out.Array(4)
	if address, ok := n.preferred(); ok {
		c.Out.BulkString(address)
	} else {
		c.Out.Null()
	}
	c.Out.Int(int64(n.port))
	c.Out.BulkString(c.Engine.NodeID())
	others := n.others()
	c.Out.Map(len(others) / 2)
	for _, s := range others {
		c.Out.BulkString(s)
	}
}

func clusterShards(c *Ctx) {
	n := c.node()
	c.Out.Array(1)
	c.Out.Map(2)
	c.Out.BulkString("slots")
	c.Out.Array(2)
	c.Out.Int(0)
	c.Out.Int(NumSlots - 1)
	c.Out.BulkString("nodes")
	c.Out.Array(1)
	address, _ := n.preferred()
	told := []string{"ip", n.ip, "endpoint", address}
	if n.hostname != "" {
		told = append(told, "hostname", n.hostname)
	}
	fields := 4 + len(told)/2
	if n.port != 0 {
		fields++
	}
	c.Out.Map(fields)
	c.Out.BulkString("id")
	c.Out.BulkString(c.Engine.NodeID())
	if n.port != 0 {
		c.Out.BulkString("port")
		c.Out.Int(int64(n.port))
	}
	for _, s := range append(told, "role", "master", "replication-offset") {
		c.Out.BulkString(s)
	}
	c.Out.Int(0)
	c.Out.BulkString("health")
	c.Out.BulkString("online")
}

func clusterNodes(c *Ctx) {
	n := c.node()
	name := n.hostname
	if name != "" {
		name = "," + name
	}
	c.Out.Verbatim("txt", fmt.Sprintf("%s %s:%d@%d%s myself,master - 0 0 1 connected 0-%d\n", c.Engine.NodeID(), n.ip, n.port, n.bus, name, NumSlots-1))
}

func clusterInfo(c *Ctx) {
	c.Out.Verbatim("txt", "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n"+
		"cluster_known_nodes:1\r\ncluster_size:1\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\ncluster_stats_messages_sent:0\r\n"+
		"cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n\r\n")
}

func clusterReplicas(c *Ctx) {
	if id := c.Args[2]; !is(id, c.Engine.NodeID()) {
		c.Out.Errorf("ERR Unknown node %s", id)
		return
	}
	c.Out.Array(0)
}

// eachKeyOf calls fn for the keys of a slot, which are all in one shard. It is false as
// visit is.
func (c *Ctx) eachKeyOf(slot int, fn func(key []byte)) bool {
	return c.walk(c.KS.ShardOfSlot(slot), func(key []byte, e keyspace.Entry) {
		if KeySlot(key) == slot && c.live(e) {
			fn(key)
		}
	})
}

func clusterCountKeys(c *Ctx) {
	slot, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	if slot < 0 || slot >= NumSlots {
		c.Out.Error("ERR Invalid slot")
		return
	}
	n := 0
	if c.eachKeyOf(int(slot), func([]byte) { n++ }) {
		c.Out.Int(int64(n))
	}
}

func clusterGetKeys(c *Ctx) {
	slot, ok := c.intArg(c.Args[2])
	if !ok {
		return
	}
	most, ok := c.intArg(c.Args[3])
	if !ok {
		return
	}
	if slot < 0 || slot >= NumSlots || most < 0 {
		c.Out.Error("ERR Invalid slot or number of keys")
		return
	}
	n := int64(0)
	body := resp.Writer{Buf: c.scratch[:0]}
	if !c.eachKeyOf(int(slot), func(key []byte) {
		if n < most {
			body.Bulk(key)
			n++
		}
	}) {
		return
	}
	c.scratch = body.Buf
	c.Out.Array(int(n))
	c.Out.Raw(body.Buf)
}
