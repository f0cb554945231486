package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// CONFIG GET tls-… shows what the listener with TLS has that was served first; while
// there is none, what one would have that CONFIG SET tls-port opens. CONFIG SET changes
// that of all of them, for clients that connect later, and all that one CONFIG SET says
// at once: a certificate and its key make sense together. When one of the listeners could
// not use it, nothing is changed.

// tlsParams are the parameters of TLS. The server's mu guards it.
type tlsParams struct {
	base  TLSOptions          // of a listener to come
	edits []func(*TLSOptions) // what was set and is to be committed
	port  *int                // that as well; nil: it stays
}

// tlsField is how a parameter is shown, and how options change by it.
type tlsField struct {
	get func(*TLSOptions) string
	set func(o *TLSOptions, text string) error
}

func tlsText(at func(*TLSOptions) *string) tlsField {
	return tlsField{
		get: func(o *TLSOptions) string { return *at(o) },
		set: func(o *TLSOptions, text string) error { *at(o) = text; return nil },
	}
}

var tlsClients = tlsField{
	get: func(o *TLSOptions) string { return string(o.withDefaults().ClientAuth) },
	set: func(o *TLSOptions, text string) error { o.ClientAuth = ClientAuth(text); return nil },
}

var tlsTickets = tlsField{
	get: func(o *TLSOptions) string {
		if o.NoTickets {
			return "no"
		}
		return "yes"
	},
	set: func(o *TLSOptions, text string) error { o.NoTickets = text == "no"; return nil },
}

var tlsProtocols = tlsField{
	get: func(o *TLSOptions) string {
		switch with := o.withDefaults(); {
		case with.MinVersion == tls.VersionTLS13:
			return "TLSv1.3"
		case with.MaxVersion == tls.VersionTLS12:
			return "TLSv1.2"
		}
		return ""
	},
	set: func(o *TLSOptions, text string) error {
		oldest, newest := uint16(0), uint16(0)
		for _, word := range strings.Fields(text) {
			v, ok := map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}[strings.ToLower(word)]
			if !ok {
				return fmt.Errorf("the protocol %q: want TLSv1.2 or TLSv1.3", word)
			}
			if oldest == 0 || v < oldest {
				oldest = v
			}
			newest = max(newest, v)
		}
		if newest == tls.VersionTLS13 {
			newest = 0 // and what comes after it
		}
		o.MinVersion, o.MaxVersion = oldest, newest
		return nil
	},
}

// tlsFields are the parameters that are options of a listener.
var tlsFields = map[string]tlsField{
	"tls-cert-file":       tlsText(func(o *TLSOptions) *string { return &o.CertFile }),
	"tls-key-file":        tlsText(func(o *TLSOptions) *string { return &o.KeyFile }),
	"tls-ca-cert-file":    tlsText(func(o *TLSOptions) *string { return &o.ClientCAFile }),
	"tls-auth-clients":    tlsClients,
	"tls-protocols":       tlsProtocols,
	"tls-session-caching": tlsTickets,
}

// Param is what CONFIG GET shows for a listener with these options, given the name of a
// parameter of TLS; ok is false for others, tls-port among them.
func (o *TLSOptions) Param(name string) (text string, ok bool) {
	f, ok := tlsFields[name]
	if !ok {
		return "", false
	}
	return f.get(o), true
}

// SetParam changes the options as CONFIG SET does, given the name of such a parameter and a
// value that its type takes.
func (o *TLSOptions) SetParam(name, text string) error {
	f, ok := tlsFields[name]
	if !ok {
		return fmt.Errorf("%s is no parameter of TLS", name)
	}
	return f.set(o, text)
}

// errTLS is Redis's wording.
var errTLS = errors.New("Unable to update TLS configuration. Check server logs.")

// tlsVar is where CONFIG finds one of them; a param.Staged.
type tlsVar struct {
	s     *Server
	field tlsField
}

// String implements param.Var.
func (v tlsVar) String() string {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.tls.base
	if first := s.firstTLS(); first != nil {
		o = first.Options()
	}
	for _, edit := range s.tls.edits {
		edit(&o)
	}
	return v.field.get(&o)
}

// Set implements param.Var.
func (v tlsVar) Set(text string) error {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := v.field.set(new(TLSOptions), text); err != nil {
		s.log.Warn("CONFIG SET: TLS stays as it is", "error", err)
		return errTLS
	}
	s.tls.edits = append(s.tls.edits, func(o *TLSOptions) { _ = v.field.set(o, text) })
	return nil
}

// tlsPortVar is the port, which is no option of a listener but is committed with them.
type tlsPortVar struct{ tlsVar }

// String implements param.Var.
func (v tlsPortVar) String() string {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tls.port != nil {
		return strconv.Itoa(*s.tls.port)
	}
	return strconv.Itoa(s.firstPort(true))
}

// Set implements param.Var.
func (v tlsPortVar) Set(text string) error {
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.s.tls.port = &port
	return nil
}

// Rollback implements param.Staged.
func (v tlsVar) Rollback() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.s.tls.edits, v.s.tls.port = nil, nil
}

// Commit implements param.Staged. What one CONFIG SET says is committed by the first of
// its parameters.
func (v tlsVar) Commit() error {
	s := v.s
	s.rebindMu.Lock()
	defer s.rebindMu.Unlock()
	s.mu.Lock()
	edits, port := s.tls.edits, s.tls.port
	s.tls.edits, s.tls.port = nil, nil
	inForce := s.allTLS()
	base, hosts := s.tls.base, []string(nil)
	listeners, now := s.tcp(true)
	for _, l := range listeners {
		hosts = append(hosts, l.Addr().(*net.TCPAddr).IP.String())
	}
	first := s.firstTLS()
	s.mu.Unlock()
	if port != nil && *port == now {
		port = nil
	}
	if len(edits) == 0 && port == nil {
		return nil
	}
	for _, edit := range edits {
		edit(&base)
	}
	var fresh []*TLS
	for _, t := range inForce {
		o := t.Options()
		for _, edit := range edits {
			edit(&o)
		}
		to, err := NewTLS(o)
		if err != nil {
			s.log.Warn("CONFIG SET: TLS stays as it is", "error", err)
			return errTLS
		}
		fresh = append(fresh, to)
	}
	if port != nil {
		if first == nil && *port != 0 {
			var err error
			if first, err = NewTLS(base); err != nil {
				s.log.Warn("CONFIG SET: TLS stays as it is", "error", err)
				return errTLS
			}
		}
		if hosts == nil {
			hosts = s.hosts()
		}
		if first != nil && !s.rebind(hosts, *port, first) {
			return errors.New("Unable to listen on this port. Check server logs.") // Redis's wording
		}
	}
	for i, t := range inForce {
		t.Become(fresh[i])
	}
	s.mu.Lock()
	s.tls.base = base
	if first != nil {
		s.tls.base = first.Options()
	}
	s.mu.Unlock()
	return nil
}

// allTLS is what the listeners with TLS use, each once. The caller holds mu.
func (s *Server) allTLS() (out []*TLS) {
	seen := make(map[*TLS]bool)
	for _, is := range s.listeners {
		if is.tls != nil && !seen[is.tls] {
			seen[is.tls] = true
			out = append(out, is.tls)
		}
	}
	return out
}

// TLSAt is what the listeners with TLS on a TCP port use, nil if there are none.
func (s *Server) TLSAt(port int) *TLS {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l, is := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok && a.Port == port && is.tls != nil {
			return is.tls
		}
	}
	return nil
}

// firstTLS is what the listener with TLS uses that was served first, nil without one.
// The caller holds mu.
func (s *Server) firstTLS() (first *TLS) {
	nth := 0
	for _, is := range s.listeners {
		if is.tls != nil && (nth == 0 || is.nth < nth) {
			first, nth = is.tls, is.nth
		}
	}
	return first
}
