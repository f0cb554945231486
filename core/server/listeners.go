package server

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// CONFIG SET port and bind change where the server listens: the new addresses are
// listened on first, and those that are no more wanted are given up when all of
// them could be, or before where they are in the way. Listeners on other ports, which plugins.hcl may have, those with TLS,
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
	switch {
	case s.bound != nil:
	case s.opt.Bind != "":
		s.bound = strings.Fields(s.opt.Bind)
	default:
		listeners, _ := s.tcp(false)
		for _, l := range listeners {
			s.bound = append(s.bound, l.Addr().(*net.TCPAddr).IP.String())
		}
	}
	return s.bound
}

// family is the network of package net for an address: each of the two families alone, as
// with Redis, also for the addresses that stand for all.
func family(ip string) string {
	switch at, err := netip.ParseAddr(ip); {
	case err != nil:
		return "tcp"
	case at.Is4():
		return "tcp4"
	default:
		return "tcp6"
	}
}

// place is an address to listen at.
type place struct {
	ip       string
	optional bool // it may be missing here
}

// BindAddress is what a word of Redis's bind names: * is every address of IPv4, ::* every one
// of IPv6, and one behind a - may be missing here.
func BindAddress(word string) (address string, optional bool) {
	address, optional = strings.CutPrefix(word, "-")
	switch address {
	case "*":
		address = "0.0.0.0"
	case "::*":
		address = "::"
	}
	return address, optional
}

// placesOf are those that the words of bind name.
func placesOf(hosts []string) (out []place) {
	for _, host := range hosts {
		ip, optional := BindAddress(host)
		if at, err := net.ResolveIPAddr("ip", ip); err == nil {
			ip = at.String()
		}
		out = append(out, place{ip, optional})
	}
	return out
}

// ipOf is the address of a TCP listener.
func ipOf(l net.Listener) string { return l.Addr().(*net.TCPAddr).IP.String() }

// listenAll listens on port at all of these places, or at none of them.
func listenAll(places []place, port int) (out []net.Listener, err error) {
	for _, p := range places {
		l, err := net.Listen(family(p.ip), net.JoinHostPort(p.ip, strconv.Itoa(port)))
		if err != nil && p.optional && !errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			for _, l := range out {
				_ = l.Close()
			}
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// rebind listens on port at every host, with TLS or, if t is nil, without, and no more
// where it did. An address may be in the way of another: one of the machine's, of all of
// them. Then nobody can connect for a moment, as with Redis.
func (s *Server) rebind(hosts []string, port int, t *TLS) bool {
	s.mu.Lock()
	old, oldPort := s.tcp(t != nil)
	nth := 0 // what is in the place of others counts as they did
	for _, l := range old {
		if is := s.listeners[l].nth; nth == 0 || is < nth {
			nth = is
		}
	}
	s.mu.Unlock()
	var places []place
	if port != 0 {
		places = placesOf(hosts)
	}
	given := old
	if port == oldPort {
		given = slices.DeleteFunc(slices.Clone(old), func(l net.Listener) bool {
			return slices.ContainsFunc(places, func(p place) bool { return p.ip == ipOf(l) })
		})
		places = slices.DeleteFunc(places, func(p place) bool {
			return slices.ContainsFunc(old, func(l net.Listener) bool { return p.ip == ipOf(l) })
		})
	}
	fresh, err := listenAll(places, port)
	if errors.Is(err, syscall.EADDRINUSE) && port == oldPort && len(given) > 0 {
		s.swap(given, nil, t, nth)
		if fresh, err = listenAll(places, port); err != nil {
			s.listenAgain(given, t, nth)
		}
		given = nil
	}
	if err != nil {
		s.log.Warn("CONFIG SET: the server goes on where it listened", "addresses", strings.Join(hosts, " "), "port", port, "error", err)
		return false
	}
	if t == nil {
		s.mu.Lock()
		s.bound = hosts
		s.mu.Unlock()
	}
	s.swap(given, fresh, t, nth)
	return true
}

// listenAgain takes listeners back that were given up.
func (s *Server) listenAgain(given []net.Listener, t *TLS, nth int) {
	for _, l := range given {
		again, err := listenAll([]place{{ip: ipOf(l)}}, l.Addr().(*net.TCPAddr).Port)
		if err != nil {
			s.log.Error("a listener is lost: another program has its address now", "listener", l.Addr().String(), "error", err)
		}
		s.swap(nil, again, t, nth)
	}
}

// swap serves fresh, with TLS unless t is nil, and no more the old ones. Fresh ones count as
// the nth that was served, or if that is 0 as further ones.
func (s *Server) swap(old, fresh []net.Listener, t *TLS, nth int) {
	s.mu.Lock()
	if s.closed {
		for _, l := range fresh {
			_ = l.Close()
		}
		fresh = nil
	}
	for _, l := range fresh {
		s.add(l, t)
		if nth > 0 {
			s.listeners[l] = served{nth, t}
		}
	}
	for _, l := range old {
		delete(s.listeners, l)
		_ = l.Close()
	}
	s.mu.Unlock()
	for _, l := range fresh {
		s.log.Info("Ready to accept connections", "listener", l.Addr().String(), "network", l.Addr().Network(), "tls", t != nil)
		go func() {
			if err := s.acceptFrom(l, t); !errors.Is(err, ErrClosed) {
				s.log.Error("a listener broke", "listener", l.Addr().String(), "error", err)
			}
		}()
	}
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
