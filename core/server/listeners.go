package server

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

// CONFIG SET port and bind change where the server listens: the new addresses are
// listened on first, and those that are no more wanted are given up only when all of
// them could be. Listeners on other ports, which plugins.hcl may have, those with TLS,
// and Unix sockets stay. CONFIG SET tls-port does the same to those with TLS.

// served is how a listener is served.
type served struct {
	nth int  // how many were served before it, and itself
	tls *TLS // nil without TLS
}

// wanted tells whether clients are still accepted on l.
func (s *Server) wanted(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.listeners[l]
	return ok && !s.closed
}

// tcp returns the TCP listeners on the port that CONFIG GET port shows or, with TLS,
// tls-port. The caller holds mu.
func (s *Server) tcp(secure bool) (out []net.Listener, port int) {
	port = s.firstPort(secure)
	for l, is := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok && a.Port == port && (is.tls != nil) == secure {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b net.Listener) int { return strings.Compare(a.Addr().String(), b.Addr().String()) })
	return out, port
}

// firstPort is that of the listener, with TLS or without, served first which is still
// there, 0 for none. The caller holds mu.
func (s *Server) firstPort(secure bool) int {
	first := 0
	port := 0
	for l, is := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok && (is.tls != nil) == secure && (first == 0 || is.nth < first) {
			first, port = is.nth, a.Port
		}
	}
	return port
}

func (s *Server) port() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strconv.Itoa(s.firstPort(false))
}

func (s *Server) setPort(text string) error {
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	s.rebindMu.Lock()
	defer s.rebindMu.Unlock()
	if !s.rebind(s.hosts(), port, nil) {
		return errors.New("Unable to listen on this port. Check server logs.") // Redis's wording
	}
	return nil
}

// bind is the addresses that are listened on, as CONFIG GET bind shows them.
func (s *Server) bind() string { return strings.Join(s.hosts(), " ") }

func (s *Server) setBind(text string) error {
	s.rebindMu.Lock()
	defer s.rebindMu.Unlock()
	s.mu.Lock()
	port := s.firstPort(false)
	s.mu.Unlock()
	if !s.rebind(strings.Fields(text), port, nil) {
		return errors.New("Failed to bind to specified addresses.") // Redis's wording
	}
	return nil
}

// hosts are the addresses that are listened on or, while the port is 0, were.
func (s *Server) hosts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil {
		listeners, _ := s.tcp(false)
		for _, l := range listeners {
			s.bound = append(s.bound, l.Addr().(*net.TCPAddr).IP.String())
		}
	}
	return s.bound
}

// rebind listens on port at every host, with TLS or, if t is nil, without, and no more
// where it did.
func (s *Server) rebind(hosts []string, port int, t *TLS) bool {
	s.mu.Lock()
	old, oldPort := s.tcp(t != nil)
	s.mu.Unlock()
	var fresh, kept []net.Listener
	for _, host := range hosts {
		if port == 0 {
			break
		}
		ip, optional := strings.CutPrefix(host, "-")
		switch ip {
		case "*":
			ip = "0.0.0.0"
		case "::*":
			ip = "::"
		}
		if at, err := net.ResolveIPAddr("ip", ip); err == nil {
			ip = at.String()
		}
		if i := slices.IndexFunc(old, func(l net.Listener) bool { return l.Addr().(*net.TCPAddr).IP.String() == ip }); i >= 0 && port == oldPort {
			kept = append(kept, old[i])
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err != nil && optional {
			continue
		}
		if err != nil {
			s.log.Warn("CONFIG SET: the server goes on where it listened", "address", host, "port", port, "error", err)
			for _, l := range fresh {
				_ = l.Close()
			}
			return false
		}
		fresh = append(fresh, l)
	}
	s.mu.Lock()
	if t == nil {
		s.bound = hosts
	}
	for _, l := range fresh {
		s.add(l, t)
	}
	for _, l := range old {
		if !slices.Contains(kept, l) {
			delete(s.listeners, l)
			_ = l.Close()
		}
	}
	s.mu.Unlock()
	for _, l := range fresh {
		s.log.Info("Ready to accept connections", "listener", l.Addr().String(), "network", l.Addr().Network(), "tls", t != nil)
		go func() {
			if err := s.serve(l, t); !errors.Is(err, ErrClosed) {
				s.log.Error("a listener broke", "listener", l.Addr().String(), "error", err)
			}
		}()
	}
	return true
}

// Expect has a listener count from now on: before it is served, and so in an order that
// does not depend on when the goroutines begin that serve. t is nil without TLS.
func (s *Server) Expect(l net.Listener, t *TLS) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(l, t)
}

// add takes a listener in. The caller holds mu.
func (s *Server) add(l net.Listener, t *TLS) {
	if _, ok := s.listeners[l]; !ok {
		s.served++
		s.listeners[l] = served{s.served, t}
	}
}
