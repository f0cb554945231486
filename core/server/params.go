package server

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/param"
)

// parameter is an entry of the table: what is declared of a parameter, and where
// its value is, before the start and while the server runs.
type parameter struct {
	param.Param

	// option is the field of Options for it. A parameter without one is given as
	// text, by way of [Options.Var].
	option func(*Options) param.Var
	// live is where the server keeps it; nil for one that stays what option says.
	live func(*Server) param.Var
}

// params are all parameters of the server, the one place that declares them.
// Those of the engine are in package core. See ARCHITECTURE.md for how one is
// added.
var params = []parameter{
	{
		Param: param.Param{
			Name: "maxclients", HCL: "max_clients", Type: param.Int{Min: 1, Max: math.MaxUint32}, Default: "10000", Info: "maxclients",
			Doc: "How many clients are served at once.",
		},
		option: func(o *Options) param.Var { return param.IntVar(&o.MaxClients) },
		live:   func(s *Server) param.Var { return param.AtomicIntVar(&s.maxClients) },
	},
	{
		Param: param.Param{
			Name: "timeout", HCL: "timeout", Type: param.Duration{Unit: time.Second, Max: math.MaxInt32}, Default: "0",
			Doc: "Close a client that is idle for so long; 0 is never.",
		},
		option: func(o *Options) param.Var { return param.DurationVar(&o.Timeout, time.Second) },
		live: func(s *Server) param.Var {
			exact := param.DurationFunc(time.Second, func() time.Duration { return time.Duration(s.timeout.Load()) }, s.setTimeout)
			return param.Func{Get: func() string { return wholePart(exact.String()) }, Put: exact.Set}
		},
	},
	{
		Param: param.Param{
			Name: "event-loops", HCL: "event_loops", Type: param.Int{Min: 0, Max: maxLoops}, Auto: "one per CPU on Linux, none elsewhere", Fixed: true, Hidden: true,
			Doc: "How many event loops serve the clients, one for each processor at most, instead of a goroutine for each client: on Linux, those over TCP without TLS or over a Unix socket; 0 is none.",
		},
		option: func(o *Options) param.Var { return param.NegativeVar(&o.EventLoops) },
	},
	{
		Param: param.Param{
			Name: "tcp-keepalive", HCL: "tcp_keepalive", Type: param.Duration{Unit: time.Second, Max: math.MaxInt32}, Default: "300",
			Doc: "How often a silent TCP client is probed, so that one that is gone is noticed; 0 turns that off; CONFIG SET is for clients that connect later.",
		},
		live: func(s *Server) param.Var {
			exact := param.DurationFunc(time.Second, func() time.Duration { return time.Duration(s.keepAlive.Load()) }, func(d time.Duration) { s.keepAlive.Store(int64(d)) })
			return param.Func{Get: func() string { return wholePart(exact.String()) }, Put: exact.Set}
		},
		option: func(o *Options) param.Var {
			return param.DurationFunc(time.Second,
				func() time.Duration { return max(0, o.KeepAlive) },
				func(d time.Duration) {
					if o.KeepAlive = d; d == 0 {
						o.KeepAlive = -1 // 0 is the default there
					}
				})
		},
	},
	{
		Param: param.Param{
			Name: "repl-timeout", HCL: "repl_timeout", Type: param.Duration{Unit: time.Second, Min: 1, Max: math.MaxInt32}, Default: "60",
			Doc: "Close a client that has asked for an RDB file (redis-cli --rdb) and takes nothing of it for so long.",
		},
		option: func(o *Options) param.Var { return param.DurationVar(&o.ReplTimeout, time.Second) },
		live: func(s *Server) param.Var {
			exact := param.DurationFunc(time.Second, s.replTimeout, func(d time.Duration) { s.replWait.Store(int64(d)) })
			return param.Func{Get: func() string { return wholePart(exact.String()) }, Put: exact.Set}
		},
	},
	{
		Param: param.Param{
			Name: "maxmemory-clients", HCL: "max_memory_clients", Type: param.MemoryShare{Of: "maxmemory"}, Default: "0",
			Doc: "Close those that hold most when all clients together hold more, in requests and replies; 0 is no bound.",
		},
		option: func(o *Options) param.Var {
			return shareVar(func() int64 { return o.MaxMemoryClients }, func(n int64) { o.MaxMemoryClients = n })
		},
		live: func(s *Server) param.Var {
			return shareVar(s.memLimit.Load, func(n int64) {
				s.memLimit.Store(n)
				s.evict()
			})
		},
	},
	{
		Param: param.Param{
			Name: "client-output-buffer-limit", HCL: "client_output_buffer_limit", Type: outputLimitsType{}, Default: defaultOutputLimits().String(),
			Doc: "Close a client that is owed more: for each class a hard limit, a soft one, and for how many seconds that may be exceeded; in plugins.hcl a size is the hard limit of normal clients; 0 lets them wait instead.",
		},
		option: func(o *Options) param.Var {
			return param.Func{
				Get: func() string {
					l := defaultOutputLimits()
					l[command.ClientNormal].hard = o.OutputLimit
					if changes, ok := o.values["client-output-buffer-limit"]; ok {
						if with, err := l.with(changes); err == nil {
							l = with
						}
					}
					return l.String()
				},
				Put: func(text string) error {
					return o.values.Var(&param.Param{Name: "client-output-buffer-limit"}).Set(text)
				},
			}
		},
		live: func(s *Server) param.Var {
			return param.Func{
				Get: func() string { return s.outputs.Load().String() },
				Put: func(text string) error {
					limits, err := s.outputs.Load().with(text)
					if err == nil {
						s.setOutputLimits(limits)
					}
					return err
				},
			}
		},
	},
	{
		Param: param.Param{
			Name: "client-query-buffer-limit", HCL: "client_query_buffer_limit", Type: param.Memory{Min: 1 << 20}, Default: "1073741824",
			Doc: "Close a client whose unfinished request, or what it has queued since MULTI, is larger.",
		},
		option: func(o *Options) param.Var { return param.IntVar(&o.QueryLimit) },
		live:   func(s *Server) param.Var { return param.AtomicIntVar(&s.queryLimit) },
	},
	{
		Param: param.Param{
			Name: "protected-mode", HCL: "protected_mode", Type: param.Bool{}, Default: "yes",
			Doc: "Without a password, let only clients of this machine in.",
		},
		option: func(o *Options) param.Var { return param.NotVar(&o.AllowRemote) },
		live:   func(s *Server) param.Var { return param.AtomicBoolVar(&s.protected) },
	},
	{
		Param: param.Param{
			Name: "enable-debug-command", HCL: "enable_debug_command", Type: param.OneOf{"no", "local", "yes"}, Default: "no", Fixed: true,
			Doc: "Who may use DEBUG, which can stop or spoil the server: nobody, the clients of this machine, or all.",
		},
		option: func(o *Options) param.Var {
			return param.Func{Get: func() string { return cmp.Or(o.EnableDebug, "no") }, Put: param.TextVar(&o.EnableDebug).Set}
		},
	},
	{
		Param: param.Param{
			Name: "shutdown-on-sigterm", HCL: "shutdown_on_sigterm", Type: signalActsType{}, Default: "default",
			Doc: "How SIGTERM ends the daemon: with a last snapshot if there are save points (default), with one (save), without (nosave), whether that fails or not (force).",
		},
		live: func(s *Server) param.Var { return param.AtomicTextVar(&s.onSigterm) },
	},
	{
		Param: param.Param{
			Name: "shutdown-on-sigint", HCL: "shutdown_on_sigint", Type: signalActsType{}, Default: "default",
			Doc: "The same for SIGINT, of which a second one ends the daemon at once.",
		},
		live: func(s *Server) param.Var { return param.AtomicTextVar(&s.onSigint) },
	},
	{
		Param: param.Param{
			Name: "oom-score-adj", HCL: "oom_score_adj", Type: oomModes{param.OneOf{"no", "yes", "relative", "absolute"}}, Default: "no",
			Doc: "Tell Linux how much the process is to be spared when memory runs out: what it began with and the first of oom-score-adj-values together (yes, relative), or that alone (absolute).",
		},
		live: func(s *Server) param.Var { return s.oom.field(func(o *oomScore) *string { return &o.mode }) },
	},
	{
		Param: param.Param{
			Name: "oom-score-adj-values", HCL: "oom_score_adj_values", Type: oomValues{}, Default: "0 200 800",
			Doc: "The first is for oom-score-adj; the others are for replicas and children, of which there are none.",
		},
		live: func(s *Server) param.Var { return s.oom.field(func(o *oomScore) *string { return &o.values }) },
	},
	{
		Param: param.Param{
			Name: "port", Type: param.Int{Min: 0, Max: math.MaxUint16}, Auto: "that of the first TCP listener", Info: "tcp_port",
			Doc: "The TCP port that is listened on; 0 is none.",
		},
		live: func(s *Server) param.Var { return param.Func{Get: s.port, Put: s.setPort} },
	},
	{
		Param: param.Param{
			Name: "bind", Type: param.Text{}, Auto: "those of the listeners on that port",
			Doc: "The addresses that are listened on, separated by spaces; a failure to listen on one that begins with - is none.",
		},
		live: func(s *Server) param.Var { return param.Func{Get: s.bind, Put: s.setBind} },
	},
	{
		Param: param.Param{
			Name: "tls-port", Type: param.Int{Min: 0, Max: math.MaxUint16}, Auto: "that of the first listener with TLS",
			Doc: "The TCP port that is listened on for clients that speak TLS; 0 is none.",
		},
		live: func(s *Server) param.Var { return tlsPortVar{tlsVar{s: s}} },
	},
	{
		Param: param.Param{
			Name: "tls-cert-file", Type: param.Text{}, Auto: "that of the first listener with TLS",
			Doc: "File with the certificate of all listeners with TLS, and intermediate ones behind it; of clients that connect later.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-cert-file"]} },
	},
	{
		Param: param.Param{
			Name: "tls-key-file", Type: param.Text{}, Auto: "that of the first listener with TLS",
			Doc: "File with the private key of tls-cert-file, which is not encrypted.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-key-file"]} },
	},
	{
		Param: param.Param{
			Name: "tls-ca-cert-file", Type: param.Text{}, Auto: "that of the first listener with TLS",
			Doc: "File with the authorities whose client certificates are accepted.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-ca-cert-file"]} },
	},
	{
		Param: param.Param{
			Name: "tls-auth-clients", Type: param.OneOf{"no", "yes", "optional"}, Auto: "that of the first listener with TLS: yes with authorities, else no",
			Doc: "Whether clients need a certificate of tls-ca-cert-file, or may show one.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-auth-clients"]} },
	},
	{
		Param: param.Param{
			Name: "tls-protocols", Type: param.Text{}, Auto: "those of the first listener with TLS",
			Doc: "Which of TLSv1.2 and TLSv1.3 are spoken, separated by spaces; empty is both.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-protocols"]} },
	},
	{
		Param: param.Param{
			Name: "tls-session-caching", Type: param.Bool{}, Auto: "that of the first listener with TLS, which is yes at a start",
			Doc: "Let clients that come back go on with the keys of their last connection.",
		},
		live: func(s *Server) param.Var { return tlsVar{s, tlsFields["tls-session-caching"]} },
	},
}

// initParams puts every parameter to what the options say and registers it with
// CONFIG.
func (s *Server) initParams() {
	for i := range params {
		p := &params[i]
		v := p.live
		if v == nil {
			v = func(s *Server) param.Var { return s.opt.Var(p.Name) }
		}
		if !p.Fixed && p.HCL != "" {
			_ = v(s).Set(s.opt.Var(p.Name).String()) // no field of Options holds what is none
		}
		s.db.Admin().Config().Register(&p.Param, v(s))
	}
}

// options is the table of parameters as those see it who read or fill in Options.
var options = param.NewTable(params,
	func(p *parameter) param.Option[Options] {
		return param.Option[Options]{Param: &p.Param, Field: p.option}
	},
	func(o *Options) *param.Values { return &o.values })

// Params are the parameters of the server, in the order of documentation.
func Params() []*param.Param { return options.Params() }

// Var is where the options keep the parameter that CONFIG knows by a name, for
// those that read options as text. It is nil for one that options do not have.
func (o *Options) Var(name string) param.Var { return options.Var(o, name) }

// DefaultOptions are the defaults of all parameters.
func DefaultOptions() (o Options) {
	options.Defaults(&o)
	return o
}

// shareVar keeps a size, or a percentage of another as a negative number.
func shareVar(get func() int64, put func(int64)) param.Var {
	return param.Func{
		Get: func() string {
			if n := get(); n < 0 {
				return strconv.FormatInt(-n, 10) + "%"
			}
			return strconv.FormatInt(get(), 10)
		},
		Put: func(text string) error {
			number, percent := strings.CutSuffix(text, "%")
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return err
			}
			if percent {
				n = -n
			}
			put(n)
			return nil
		},
	}
}

// wholePart is a number without its fraction: Redis's units are whole.
func wholePart(number string) string {
	whole, _, _ := strings.Cut(number, ".")
	return whole
}

// outputLimitsType is the type of client-output-buffer-limit.
type outputLimitsType struct{}

var _ param.FileType = outputLimitsType{}

// Parse implements param.Type. The classes that the text does not name stay as
// they are.
func (outputLimitsType) Parse(text string) (string, error) {
	_, err := defaultOutputLimits().with(text)
	return text, err
}

// ParseFile implements param.FileType: a mere size is the hard limit of normal
// clients.
func (t outputLimitsType) ParseFile(text string) (string, error) {
	if n, err := param.ParseMemory(text); err == nil {
		text = command.ClientNormal.String() + " " + strconv.FormatInt(n, 10) + " 0 0"
	}
	return t.Parse(text)
}

// Want implements param.Type.
func (outputLimitsType) Want() string {
	return "any number of <class> <hard> <soft> <soft seconds>, as in normal 32mb 0 0; the classes are normal, slave, pubsub"
}
