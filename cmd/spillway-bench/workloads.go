package main

import "strconv"

// workload is one row of throughput. What is zero is usual: 50 clients, no pipeline,
// 64 bytes, the keys that --keyspace says, no TLS, no log.
type workload struct {
	name     string
	load     []string // redis-benchmark's arguments that say which commands; nil for those of mixed
	reads    int      // of mixed: percent of GETs, the others being SETs
	clients  int
	pipeline int
	size     int // of values
	keys     int // no more than these
	// once is there before the first round, and each before every round, in an empty
	// keyspace, with as many commands as the round has, and some.
	once, each feed
	// group is a stream that gets a consumer group, once each is there.
	group      string
	tls        bool
	appendOnly string // with appendfsync so
	long       bool   // not with --quick
}

func test(name string) []string { return []string{"-t", name} }

// workloads in the order they run.
func workloads() []workload {
	var list []workload
	for _, p := range []int{1, 16, 64} {
		list = append(list,
			workload{name: "SET", load: test("set"), pipeline: p, once: stringsOf(64)},
			workload{name: "GET", load: test("get"), pipeline: p, once: stringsOf(64)})
	}
	// What redis-benchmark runs unasked, without what is above.
	for _, p := range []int{1, 16} {
		for _, w := range []workload{
			{name: "PING_INLINE", load: test("ping_inline")},
			{name: "PING_MBULK", load: test("ping_mbulk")},
			{name: "INCR", load: test("incr")},
			{name: "LPUSH", load: test("lpush"), each: listElements},
			{name: "RPUSH", load: test("rpush"), each: listElements},
			{name: "LPOP", load: test("lpop"), each: listElements},
			{name: "RPOP", load: test("rpop"), each: listElements},
			{name: "SADD", load: test("sadd"), once: setMembers},
			{name: "HSET", load: test("hset")},
			{name: "SPOP", load: test("spop"), each: setMembers},
			{name: "ZADD", load: test("zadd")},
			{name: "ZPOPMIN", load: test("zpopmin"), each: sortedElements},
			{name: "LRANGE_100", load: []string{"LRANGE", "mylist", "0", "99"}, once: listElements},
			{name: "LRANGE_300", load: []string{"LRANGE", "mylist", "0", "299"}, once: listElements},
			{name: "LRANGE_500", load: []string{"LRANGE", "mylist", "0", "499"}, once: listElements},
			{name: "LRANGE_600", load: []string{"LRANGE", "mylist", "0", "599"}, once: listElements},
			{name: "MSET of 10", load: test("mset")},
		} {
			w.pipeline, w.long = p, p > 1
			list = append(list, w)
		}
	}
	list = append(list,
		workload{name: "ZADD, a full set", load: []string{"ZADD", "myzset", "__rand_int__", "element:__rand_int__"}, pipeline: 16, once: sortedElements},
		workload{name: "ZRANGEBYSCORE, 10 elements", load: []string{"ZRANGEBYSCORE", "myzset", "__rand_int__", "+inf", "LIMIT", "0", "10"}, pipeline: 16, once: sortedElements},
		workload{name: "XADD", load: []string{"XADD", "mystream", "*", "field", value64}, pipeline: 16, each: streamEntries},
		workload{name: "XREADGROUP, 1 entry", load: []string{"XREADGROUP", "GROUP", "group", "consumer", "COUNT", "1", "STREAMS", "mystream", ">"}, pipeline: 16, each: streamEntries, group: "mystream"},

		workload{name: "80 % GET, 20 % SET", reads: 80, once: stringsOf(64)},
		workload{name: "80 % GET, 20 % SET", reads: 80, pipeline: 16, once: stringsOf(64)},
		workload{name: "80 % GET, 20 % SET", reads: 80, clients: 10, once: stringsOf(64)},
		workload{name: "80 % GET, 20 % SET", reads: 80, clients: 1_000, once: stringsOf(64)},
		workload{name: "80 % GET, 20 % SET", reads: 80, clients: 10_000, once: stringsOf(64)},
	)
	for _, v := range []struct{ size, keys int }{{10 << 10, 10_000}, {1 << 20, 100}} {
		list = append(list,
			workload{name: "SET", load: test("set"), size: v.size, keys: v.keys, once: stringsOf(v.size)},
			workload{name: "GET", load: test("get"), size: v.size, keys: v.keys, once: stringsOf(v.size)})
	}
	for _, p := range []int{1, 16} {
		list = append(list,
			workload{name: "SET", load: test("set"), pipeline: p, tls: true, once: stringsOf(64)},
			workload{name: "GET", load: test("get"), pipeline: p, tls: true, once: stringsOf(64)})
	}
	for _, fsync := range []string{"everysec", "always"} {
		for _, p := range []int{1, 16} {
			list = append(list, workload{name: "SET", load: test("set"), pipeline: p, appendOnly: fsync, once: stringsOf(64)})
		}
	}
	for i := range list {
		list[i].complete()
	}
	return list
}

// complete says what was left to be usual, and makes the name say what is not.
func (w *workload) complete() {
	for _, v := range []struct {
		of    *int
		usual int
	}{{&w.clients, 50}, {&w.pipeline, 1}, {&w.size, 64}} {
		if *v.of == 0 {
			*v.of = v.usual
		}
	}
	switch w.size {
	case 64:
	case 1 << 20:
		w.name += ", 1 MiB"
	default:
		w.name += ", " + strconv.Itoa(w.size>>10) + " KiB"
	}
	if w.tls {
		w.name += ", TLS"
	}
	if w.appendOnly != "" {
		w.name += ", appendfsync " + w.appendOnly
	}
	if w.clients != 50 {
		w.name += ", " + strconv.Itoa(w.clients) + " clients"
	}
	w.name += ", P" + strconv.Itoa(w.pipeline)
}
