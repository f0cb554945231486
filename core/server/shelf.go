package server

// desk is the buffers for what is executed, one connection after the other.
type desk struct {
	in   []byte
	args [][]byte
	cmds [][][]byte
	ends []int
	ins  shelf // for unfinished commands
	outs shelf // for replies
}

// shelfMost is how many bytes of buffers a shelf keeps: what a turn of connections needs
// whose requests or replies are of a usual size.
const shelfMost = 2 << 20

// shelf keeps the buffers that one connection has done with for the next. One goroutine
// at a time.
type shelf struct {
	bufs [][]byte // the last is the one that was used last, and may still be in a cache
	held int      // bytes of them
}

// take takes a buffer off, nil for none.
func (s *shelf) take() []byte {
	n := len(s.bufs) - 1
	if n < 0 {
		return nil
	}
	b := s.bufs[n]
	s.bufs[n] = nil
	s.bufs = s.bufs[:n]
	s.held -= cap(b)
	return b
}

// give puts a buffer on, if there is room for it.
func (s *shelf) give(b []byte) {
	if s.held+cap(b) > shelfMost {
		return
	}
	s.bufs = append(s.bufs, b)
	s.held += cap(b)
}
