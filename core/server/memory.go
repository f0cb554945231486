package server

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core"
)

// hold counts memory that the connection takes, or gives back if delta is
// negative: its request, what it has queued, replies that wait. It is false
// once the connection is closed because all clients together hold too much,
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
	own := int64(len(c.in) + cap(c.out.Buf) + c.QueuedBytes())
	delta := own - c.own
	if delta == 0 {
		return !c.evicted.Load()
	}
	c.own = own
	return c.hold(int(delta))
}

// forget gives up whatever the connection holds. Nobody uses it any more.
func (c *conn) forget() {
	c.long.Truncate(0)
	c.box.next.Truncate(0)
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
// maxmemory-clients, as Redis does; CLIENT NO-EVICT spares one.
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
			if mem > most && !c.NoEvict() {
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
		_ = victim.nc.Close()
	}
}

// ParseMemoryClients reads a value of maxmemory-clients: a size, or a
// percentage of maxmemory, which is returned as a negative number.
func ParseMemoryClients(v string) (int64, error) {
	if p, ok := strings.CutSuffix(v, "%"); ok {
		n, err := strconv.ParseInt(p, 10, 64)
		switch {
		case err != nil || n < 0:
			return 0, errors.New("argument must be a memory or percent value") // Redis's wording
		case n > 100:
			return 0, errors.New("percentage argument must be less or equal to 100") // Redis's wording
		}
		return -n, nil
	}
	n, err := core.ParseMemory(v)
	if err != nil {
		return 0, errors.New("argument must be a memory or percent value") // Redis's wording
	}
	return n, nil
}

func formatMemoryClients(n int64) string {
	if n < 0 {
		return strconv.FormatInt(-n, 10) + "%"
	}
	return strconv.FormatInt(n, 10)
}
