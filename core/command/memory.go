package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
)

// memoryFigures are numbers of INFO memory, from which MEMORY STATS and MEMORY DOCTOR
// draw, so that the two never disagree with it.
type memoryFigures map[string]string

func (c *Ctx) memoryFigures() memoryFigures {
	m := memoryFigures{}
	for _, f := range c.Engine.Info().Fields(c.Visit, "memory", "clients") {
		m[f.Name] = fmt.Sprint(f.Value)
	}
	return m
}

// int is a field that is a whole number, 0 for one that there is not.
func (m memoryFigures) int(name string) int64 {
	n, _ := strconv.ParseInt(m[name], 10, 64)
	return n
}

// ratio is a field that is a ratio or a percentage.
func (m memoryFigures) ratio(name string) float64 {
	f, _ := strconv.ParseFloat(strings.TrimSuffix(m[name], "%"), 64)
	return f
}

// memoryStats has the fields of Redis, in its order. What belongs to a structure that
// there is not here is 0.
func memoryStats(c *Ctx) {
	m := c.memoryFigures()
	var used []int // databases with keys
	keys := int64(0)
	for n := range c.KS.NumDatabases() {
		in := int64(0)
		c.eachDB(n, func(db *keyspace.DB) { in += int64(db.Len()) })
		if in > 0 {
			used = append(used, n)
		}
		keys += in
	}
	c.Out.Map(27 + len(used))
	number := func(name string, n int64) {
		c.Out.BulkString(name)
		c.Out.Int(n)
	}
	ratio := func(name string, f float64) {
		c.Out.BulkString(name)
		c.Out.Double(f)
	}
	total := m.int("used_memory")
	number("peak.allocated", m.int("used_memory_peak"))
	number("total.allocated", total)
	number("startup.allocated", m.int("used_memory_startup"))
	number("replication.backlog", m.int("mem_replication_backlog"))
	number("clients.slaves", m.int("mem_clients_slaves"))
	number("clients.normal", m.int("mem_clients_normal"))
	number("cluster.links", m.int("mem_cluster_links"))
	number("aof.buffer", m.int("mem_aof_buffer"))
	number("lua.caches", m.int("used_memory_scripts"))
	number("functions.caches", m.int("used_memory_functions"))
	for _, n := range used {
		c.Out.BulkString("db." + strconv.Itoa(n))
		c.Out.Map(3)
		number("overhead.hashtable.main", 0)
		number("overhead.hashtable.expires", 0)
		number("overhead.hashtable.slot-to-keys", 0)
	}
	number("overhead.total", m.int("used_memory_overhead"))
	number("keys.count", keys)
	number("keys.bytes-per-key", total/max(keys, 1))
	number("dataset.bytes", m.int("used_memory_dataset"))
	ratio("dataset.percentage", m.ratio("used_memory_dataset_perc"))
	ratio("peak.percentage", m.ratio("used_memory_peak_perc"))
	number("allocator.allocated", m.int("allocator_allocated"))
	number("allocator.active", m.int("allocator_active"))
	number("allocator.resident", m.int("allocator_resident"))
	ratio("allocator-fragmentation.ratio", m.ratio("allocator_frag_ratio"))
	number("allocator-fragmentation.bytes", m.int("allocator_frag_bytes"))
	ratio("allocator-rss.ratio", m.ratio("allocator_rss_ratio"))
	number("allocator-rss.bytes", m.int("allocator_rss_bytes"))
	ratio("rss-overhead.ratio", m.ratio("rss_overhead_ratio"))
	number("rss-overhead.bytes", m.int("rss_overhead_bytes"))
	ratio("fragmentation", m.ratio("mem_fragmentation_ratio"))
	number("fragmentation.bytes", m.int("mem_fragmentation_bytes"))
}

// eachDB calls fn for a database's part in every shard. They are locked.
func (c *Ctx) eachDB(n int, fn func(db *keyspace.DB)) {
	for i := range c.KS.NumShards() {
		fn(c.KS.Shard(i).DB(n))
	}
}

// Below so much memory MEMORY DOCTOR has no opinion, as in Redis; the other bounds are
// Redis's too.
const (
	doctorLeast   = 5 << 20
	doctorClient  = 200 << 10
	doctorScripts = 1000
)

func memoryDoctor(c *Ctx) {
	m := c.memoryFigures()
	total := m.int("used_memory")
	if total < doctorLeast {
		c.Out.Verbatim("txt", "There is hardly anything in memory: less than 5 MiB of keys and values. Nothing can be said about its use before there is more.\n")
		return
	}
	var found []string
	if peak := m.int("used_memory_peak"); peak > total+total/2 {
		found = append(found, fmt.Sprintf("Peak: keys and values once took %s, more than 150%% of the %s that they take now. Memory that was given up is given back to "+
			"the system by and by; MEMORY PURGE does it at once.", HumanBytes(peak), HumanBytes(total)))
	}
	if f := m.ratio("mem_fragmentation_ratio"); f > 1.4 && m.int("mem_fragmentation_bytes") > 10<<20 {
		found = append(found, fmt.Sprintf("Resident memory: the process takes %.2f times what keys, values and Go's heap hold. After a peak this passes, or MEMORY PURGE ends it.", f))
	}
	if n := m.int("connected_clients"); n > 0 && m.int("mem_clients_normal")/n > doctorClient {
		found = append(found, "Clients: their requests and replies take more than 200 KiB each on average. CLIENT LIST shows in tot-mem who holds them; "+
			"maxmemory-clients and client-output-buffer-limit bound them.")
	}
	if m.int("number_of_cached_scripts") > doctorScripts {
		found = append(found, "Scripts: more than 1000 are kept. Scripts that differ only in what they are about should be one with KEYS and ARGV; SCRIPT FLUSH forgets them.")
	}
	if len(found) == 0 {
		c.Out.Verbatim("txt", "Nothing is wrong with the use of memory, as far as can be seen.\n")
		return
	}
	c.Out.Verbatim("txt", "What there is to say about the use of memory:\n\n * "+strings.Join(found, "\n\n * ")+"\n")
}
