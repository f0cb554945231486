package config

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/core/server"
)

// listener decodes a listener.
func (d *decoder) listener(b *listenerBlock) Listener {
	l := Listener{Name: b.Name, Network: b.Network}
	switch b.Network {
	case "tcp":
		l.Address = d.str(b.Address, "")
		d.address(b.Address, b.Network, l.Address, &l.at)
		if b.TLS != nil {
			l.TLS, l.tlsAt = d.tls(b.TLS), b.TLS.Range
		}
		if b.Path != nil {
			d.errorf(b.Path, "No path here", "A listener \"tcp\" has an address, as in \"127.0.0.1:6380\".")
		}
	case "unix":
		l.Address = beside(d.dir, d.str(b.Path, ""))
		d.address(b.Path, b.Network, l.Address, &l.at)
		if b.TLS != nil {
			d.errorAt(&b.TLS.Range, "No TLS here", "A Unix socket stays on this machine: TLS is for a listener \"tcp\".")
		}
		if b.Address != nil {
			d.errorf(b.Address, "No address here", "A listener \"unix\" has a path, as in \"/run/spillway.sock\".")
		}
	default:
		d.errorAt(&b.Range, "Unknown listener", "There is no listener kind %q; there are \"tcp\" and \"unix\".%s", b.Network, DidYouMean(b.Network, []string{"tcp", "unix"}))
		return l
	}
	if l.Address == "" && !d.f.diags.HasErrors() {
		d.errorAt(&b.Range, "Incomplete listener", "A listener %q wants %s.", b.Network, map[string]string{"tcp": "address", "unix": "path"}[b.Network])
	}
	return l
}

// tls decodes how a listener speaks TLS. Without client_auth, clients need a certificate
// if there is an authority for it.
func (d *decoder) tls(b *tlsBlock) *server.TLSOptions {
	o := &server.TLSOptions{}
	for _, f := range []struct {
		a    *hcl.Attribute
		path *string
	}{{b.Cert, &o.CertFile}, {b.Key, &o.KeyFile}, {b.ClientCA, &o.ClientCAFile}} {
		if path := d.str(f.a, ""); path != "" {
			*f.path = beside(d.dir, path)
		}
	}
	if b.Cert == nil || b.Key == nil {
		d.errorAt(&b.Range, "Incomplete TLS", "A block tls wants cert and key, the files of the certificate and of its private key.")
	}
	if b.ClientAuth != nil {
		o.ClientAuth = server.ClientAuth(d.oneOf(b.ClientAuth, "", string(server.ClientAuthRequired), string(server.ClientAuthOptional), string(server.ClientAuthNone)))
	}
	o.ClientUser = d.boolean(b.ClientUser, false)
	o.MinVersion = tlsVersions[d.oneOf(b.MinVersion, "1.2", "1.2", "1.3")]
	return o
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// ListenNetwork is the network that package net listens on for an address: an
// IPv4 address is IPv4 alone and an IPv6 address IPv6 alone, as with Redis, also
// those that stand for all.
func ListenNetwork(network, address string) string {
	if network != "tcp" {
		return network
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return network
	}
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		return network
	case ip.Is4():
		return "tcp4"
	default:
		return "tcp6"
	}
}

// longestSocket is how long the path of a Unix socket may be.
var longestSocket = len(syscall.RawSockaddrUnix{}.Path) - 1

// CheckAddress says what is wrong with an address that no machine can listen on.
func CheckAddress(network, address string) error {
	if network == "unix" {
		if len(address) > longestSocket {
			return fmt.Errorf("the path of a socket has at most %d bytes; this has %d", longestSocket, len(address))
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		var at *net.AddrError
		if errors.As(err, &at) {
			err = errors.New(at.Err)
		}
		return fmt.Errorf("%q is not host:port, as in \"127.0.0.1:6380\" or \"[::1]:6380\": %w", address, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is no port: want a number from 0 to 65535", port)
	}
	if strings.Trim(host, "0123456789.") == "" && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%q is not an IPv4 address", host)
		}
	}
	return nil
}

// resolveTimeout bounds the question for a host's addresses.
const resolveTimeout = 5 * time.Second

// VerifyListeners tries every address of a configuration: names are resolved,
// sockets bound and closed at once without ever listening, certificates loaded, and the directory of
// a Unix socket has to be there. What this machine cannot listen on is added to
// the diagnostics; ok is whether nothing is. busy are the addresses that another
// process listens on at the moment, which is no mistake of the configuration.
func (f *File) VerifyListeners(c *Config) (busy []string, ok bool) {
	all := c.Listen
	if c.Metrics != "" {
		all = append(all[:len(all):len(all)], Listener{Name: "metrics", Network: "tcp", Address: c.Metrics, TLS: c.MetricsFront.TLS, at: c.metricsAt, tlsAt: c.metricsTLSAt})
	}
	taken := make(map[netip.AddrPort]Listener)
	paths := make(map[string]bool)
	for _, l := range all {
		fail := func(err error) {
			d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot listen", Detail: fmt.Sprintf("Listener %q on %s: %s.", l.Name, l.Address, err)}
			if l.at.Filename != "" {
				d.Subject = &l.at
			}
			f.diags = append(f.diags, d)
		}
		if err := CheckAddress(l.Network, l.Address); err != nil {
			fail(err)
			continue
		}
		if l.TLS != nil {
			if _, err := server.NewTLS(*l.TLS); err != nil {
				if l.tlsAt.Filename != "" {
					l.at = l.tlsAt
				}
				fail(err)
				continue
			}
		}
		if l.Network == "unix" {
			path, err := filepath.Abs(l.Address)
			if err == nil && paths[path] {
				err = errors.New("there is already a listener there")
			}
			if err == nil {
				err = trySocket(path)
			}
			if err != nil {
				fail(err)
			}
			paths[path] = true
			continue
		}
		at, err := tcpAddress(l.Address)
		if err == nil && at.Port() != 0 {
			if other, twice := overlapping(taken, at); twice {
				err = fmt.Errorf("listener %q listens on %s already", other.Name, other.Address)
			}
		}
		if err == nil {
			taken[at] = l
			err = tryBind(at)
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			busy = append(busy, l.Address)
		} else if err != nil {
			fail(err)
		}
	}
	return busy, !f.diags.HasErrors()
}

// HasAddress tells whether this machine can listen at a host.
func HasAddress(host string) bool {
	l, err := net.Listen(ListenNetwork("tcp", net.JoinHostPort(host, "0")), net.JoinHostPort(host, "0"))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// tcpAddress resolves an address as listening there does. A host that stands for
// all addresses of both families is the invalid address.
func tcpAddress(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			err = errors.New(dns.Err)
		}
		return netip.AddrPort{}, fmt.Errorf("the host %q has no address: %w", host, err)
	}
	for _, ip := range ips { // package net prefers IPv4
		if ip.Unmap().Is4() {
			return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
		}
	}
	return netip.AddrPortFrom(ips[0], uint16(n)), nil
}

// overlapping finds a listener that an address cannot listen beside.
func overlapping(taken map[netip.AddrPort]Listener, at netip.AddrPort) (Listener, bool) {
	all := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	for other, l := range taken {
		a, b := other.Addr(), at.Addr()
		family := !a.IsValid() || !b.IsValid() || a.Is4() == b.Is4()
		if other.Port() == at.Port() && family && (a == b || all(a) || all(b)) {
			return l, true
		}
	}
	return Listener{}, false
}

// tryBind binds a socket to an address and closes it. It never listens: no
// client can find it.
func tryBind(at netip.AddrPort) error {
	var addr unix.Sockaddr
	family, ip := unix.AF_INET6, at.Addr()
	switch {
	case ip.Is4():
		family = unix.AF_INET
		addr = &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	case !ip.IsValid():
		if err := tryBind(netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())); err != nil {
			return err
		}
		ip = netip.IPv6Unspecified()
		fallthrough
	default:
		in6 := &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16()}
		if iface, err := net.InterfaceByName(ip.Zone()); err == nil {
			in6.ZoneId = uint32(iface.Index)
		}
		addr = in6
	}
	syscall.ForkLock.RLock() // until the socket is closed on exec
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		if !at.Addr().IsValid() && errors.Is(err, syscall.EAFNOSUPPORT) {
			return nil // no IPv6: it is IPv4 alone, which could be bound
		}
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// As package net does: a port of connections that have ended is free.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	err = unix.Bind(fd, addr)
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errors.New("this machine does not have the address")
	case errors.Is(err, syscall.EACCES):
		return errors.New("ports below 1024 need root, or CAP_NET_BIND_SERVICE")
	}
	return err
}

// trySocket requires what a Unix socket needs to be made.
func trySocket(path string) error {
	dir := filepath.Dir(path)
	switch st, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the directory %s is not there", dir)
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("no file can be made in the directory %s: %w", dir, err)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("there is a file %s that is not a socket", path)
	}
	return nil
}
