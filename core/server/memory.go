package server

import "github.com/spillwaydb/spillway/core/command"

// hold counts memory that the connection takes, or gives back if delta is
// negative: its request, what it has queued, what it watches, listens to and
// tracks, replies that wait. It is false once the connection is closed because all clients together hold too much,
// and is to hold no more. Any goroutine.
func (c *conn) hold(delta int) bool {
	c.mem.Add(int64(delta))
	total := c.srv.memHeld.Add(int64(delta))
	if limit := c.srv.memoryLimit(); delta > 0 && limit > 0 && total > limit {
		c.srv.evict()
	}
	return !c.evicted.Load()
}

// account is hold for the buffers whose growth is not counted where it takes
// place.
func (c *conn) account() bool {
	in, out, queued := len(c.in), cap(c.out.Buf), c.QueuedBytes()
	if c.lent {
		in = 0
	}
	own := int64(in + out + queued + c.ListenBytes())
	delta := own - c.own
	if delta == 0 {
		return !c.evicted.Load()
	}
	c.own = own
	c.inSize.Store(int64(in))
	c.outSize.Store(int64(out))
	c.queuedSize.Store(int64(queued))
	return c.hold(int(delta))
}

// forget gives up whatever the connection holds. Nobody uses it any more.
func (c *conn) forget() {
	c.long.Truncate(0)
	c.large.Free()
	c.in = nil
	c.hold(-int(c.own))
}

// memoryLimit is maxmemory-clients in bytes, 0 for none.
func (s *Server) memoryLimit() int64 {
	n := s.memLimit.Load()
	if n >= 0 {
		return n
	}
	return int64(float64(s.db.MaxMemory()) / 100 * float64(-n))
}

// evict closes the clients that hold most until the others are within
// maxmemory-clients, as Redis does; CLIENT NO-EVICT spares one, and replicas
// have their output limit.
func (s *Server) evict() {
	limit := s.memoryLimit()
	if limit <= 0 || s.memHeld.Load() <= limit {
		return
	}
	s.evictMu.Lock()
	defer s.evictMu.Unlock()
	conns := s.snapshot()
	for {
		var total, most int64
		var victim *conn
		for _, c := range conns {
			if c.evicted.Load() {
				continue // what it holds is about to be free
			}
			mem := c.mem.Load()
			total += mem
			if mem > most && !c.NoEvict() && c.box.class.Load() != int32(command.ClientReplica) {
				victim, most = c, mem
			}
		}
		if total <= limit || victim == nil {
			return
		}
		victim.evicted.Store(true)
		s.memEvicted.Add(1)
		s.log.Warn("client closed: all clients together exceed maxmemory-clients, and it holds most",
			"client", victim.ID(), "addr", victim.addr(), "bytes", most, "together", total, "limit", limit)
		victim.kill()
	}
}
