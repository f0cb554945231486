package command

import (
	"errors"
	"net"
	"strconv"
	"sync/atomic"
)

// Announced is what the node of a cluster tells clients of where it is, behind a NAT or
// in a container say: cluster-announce-ip and its like. Safe for concurrent use.
type Announced struct {
	// IP and Hostname are empty where nothing is announced: a client takes an empty
	// address for the one it uses.
	IP, Hostname atomic.Pointer[string]
	// Endpoint is one of EndpointTypes: which of them clients are to use.
	Endpoint atomic.Pointer[string]
	// Port and TLSPort are 0 for the port that the client has connected to.
	Port, TLSPort atomic.Int64
}

// EndpointTypes are the values of cluster-preferred-endpoint-type.
var EndpointTypes = []string{endpointIP, endpointHostname, endpointUnknown}

const (
	endpointIP       = "ip"
	endpointHostname = "hostname"
	endpointUnknown  = "unknown-endpoint"
)

// NewAnnounced announces nothing.
func NewAnnounced() *Announced {
	a, ip := new(Announced), endpointIP
	a.IP.Store(new(string))
	a.Hostname.Store(new(string))
	a.Endpoint.Store(&ip)
	return a
}

// CheckHostname says what is wrong with a name to be announced, in Redis's words.
func CheckHostname(name string) error {
	if len(name) >= 256 {
		return errors.New("Hostnames must be less than 256 characters")
	}
	for _, ch := range []byte(name) {
		if !isDigit(ch) && (lower(ch) < 'a' || lower(ch) > 'z') && ch != '-' && ch != '.' {
			return errors.New("Hostnames may only contain alphanumeric characters, hyphens or dots")
		}
	}
	return nil
}

// node is this node as a client is told of it.
type node struct {
	ip, hostname string
	endpoint     string // which of them is preferred
	port, bus    int
}

func (c *Ctx) node() node {
	a, client := c.Engine.Announced(), c.Client.Info()
	n := node{ip: *a.IP.Load(), hostname: *a.Hostname.Load(), endpoint: *a.Endpoint.Load(), port: int(a.Port.Load())}
	if client.TLS {
		n.port = int(a.TLSPort.Load())
	}
	used := 0
	if _, port, err := net.SplitHostPort(client.LAddr); err == nil {
		used, _ = strconv.Atoi(port)
	}
	if n.port == 0 {
		n.port = used
	}
	n.bus = used + 10000 // as if there were one
	return n
}

// preferred is the address that a client is to use, and whether there is one.
func (n *node) preferred() (string, bool) {
	switch {
	case n.endpoint == endpointIP:
		return n.ip, true
	case n.endpoint == endpointUnknown:
		return "", false
	case n.hostname == "":
		return "?", true
	}
	return n.hostname, true
}

// others are the addresses beside the preferred one, each behind its name.
func (n *node) others() (out []string) {
	if n.endpoint != endpointIP {
		out = append(out, "ip", n.ip)
	}
	if n.endpoint != endpointHostname && n.hostname != "" {
		out = append(out, "hostname", n.hostname)
	}
	return out
}
