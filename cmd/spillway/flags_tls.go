package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/server"
)

// tlsFlags are the flags about TLS, with the names of Redis's parameters.
type tlsFlags struct {
	port          int
	cert, key, ca string
	clients       string
}

func (o *tlsFlags) register(f *pflag.FlagSet) {
	f.IntVar(&o.port, "tls-port", 0, "TCP port for clients that speak TLS; 0 listens on none")
	f.StringVar(&o.cert, "tls-cert-file", "", "certificate of the listener with TLS, PEM")
	f.StringVar(&o.key, "tls-key-file", "", "its private key, PEM")
	f.StringVar(&o.ca, "tls-ca-cert-file", "", "authorities of client certificates, PEM")
	f.StringVar(&o.clients, "tls-auth-clients", "", "whether clients need a certificate: yes (the default with authorities), optional or no")
}

// apply changes the listeners with TLS of the configuration, or adds one: with
// --tls-port at the addresses of --bind, or where the first listener is.
func (o *tlsFlags) apply(given func(string) bool, bind string, c *config.Config) error {
	var opt server.TLSOptions
	hosts := []string{"127.0.0.1"}
	for _, l := range slices.Backward(c.Listen) {
		if l.Network != "tcp" {
			continue
		}
		if host, _, err := net.SplitHostPort(l.Address); err == nil {
			hosts[0] = host
		}
		if l.TLS != nil {
			opt = *l.TLS
		}
	}
	said := given("tls-port")
	override := func(name string, field *string, value string) {
		if given(name) {
			said, *field = true, value
		}
	}
	override("tls-cert-file", &opt.CertFile, o.cert)
	override("tls-key-file", &opt.KeyFile, o.key)
	override("tls-ca-cert-file", &opt.ClientCAFile, o.ca)
	override("tls-auth-clients", (*string)(&opt.ClientAuth), o.clients)
	if !said {
		return nil
	}
	if !given("tls-port") {
		changed := false
		for i := range c.Listen {
			if l := &c.Listen[i]; l.TLS != nil {
				changed, l.TLS = true, &opt
			}
		}
		if !changed {
			return fmt.Errorf("no listener speaks TLS: give --tls-port, or a block tls in plugins.hcl")
		}
		return nil
	}
	if o.port < 0 || o.port > 65535 {
		return fmt.Errorf("--tls-port %d: want 0 to 65535", o.port)
	}
	c.Listen = slices.DeleteFunc(c.Listen, func(l config.Listener) bool { return l.TLS != nil })
	if o.port == 0 {
		return nil
	}
	if opt.CertFile == "" || opt.KeyFile == "" {
		return fmt.Errorf("--tls-port wants --tls-cert-file and --tls-key-file")
	}
	if given("bind") {
		hosts = strings.Fields(bind)
	}
	c.Listen = append(c.Listen, config.ListenersAt(hosts, strconv.Itoa(o.port), config.Listener{Name: "tls", TLS: &opt})...)
	return nil
}
