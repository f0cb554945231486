package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	"github.com/spillwaydb/spillway/plugins/plugintest"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// hostileEnv makes the test binary the hostile plugin it names.
const hostileEnv = "SPILLWAY_TEST_HOSTILE"

// misbehave is main of a hostile plugin.
func misbehave(how string) {
	switch how {
	case "never completes the handshake":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		select {}
	case "prints garbage":
		fmt.Println("Usage: not-a-plugin [flags]")
		select {}
	case "exits at once":
		fmt.Fprintln(os.Stderr, "cannot open /etc/shadow")
		os.Exit(7)
	case "speaks another version":
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig:  wire.Handshake,
			VersionedPlugins: map[int]goplugin.PluginSet{99: {wire.Dispensed: &wire.GRPC{Register: func(*grpc.Server) {}}}},
			GRPCServer:       goplugin.DefaultGRPCServer,
		})
	case "offers nothing", "offers a bad name":
		serveRaw(&rawPlugin{how: how})
	default:
		if _, ok := rawEncodes[how]; ok || strings.HasPrefix(how, "raw ") {
			serveRaw(&rawPlugin{how: how})
			return
		}
		plugins.Serve(
			plugins.Stage("s", func(c struct {
				Password string `json:"password"`
			}) (sink.Stage, error) {
				switch how {
				case "constructor hangs":
					select {}
				case "constructor panics":
					panic("no such thing")
				case "tells its secrets":
					return nil, fmt.Errorf("cannot log in with %s and %s", c.Password, os.Getenv("API_TOKEN"))
				}
				return &plugintest.FuncStage{Name: "s", Suffix: ".s", EncodeFunc: sdkEncodes[how]}, nil
			}),
			plugins.Sink("k", func(struct{}) (sink.Sink, error) {
				mem := plugintest.NewMemSink("k")
				k := &plugintest.FuncSink{Inner: mem}
				switch how {
				case "put is early":
					k.PutFunc = func(context.Context, sink.Part, io.Reader) (sink.Receipt, error) { return nil, nil }
				case "publish hangs":
					k.PublishFunc = func(context.Context, sink.Set) error { select {} }
				}
				return k, nil
			}),
		)
	}
}

type encodeFunc = func(context.Context, sink.Part, io.Writer, io.Reader) (sink.Receipt, error)

// sdkEncodes are stages that misbehave behind plugins.Serve.
var sdkEncodes = map[string]encodeFunc{
	"hangs": after(100_000, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
	"ignores cancellation": after(100_000, func(context.Context) error {
		select {}
	}),
	"panics": after(100_000, func(context.Context) error { panic("index out of range") }),
	"crashes": after(100_000, func(context.Context) error {
		go func() { panic("crash of a goroutine") }()
		select {}
	}),
	"exits": after(100_000, func(context.Context) error { os.Exit(3); return nil }),
	"is killed": after(100_000, func(context.Context) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}),
	"is stopped": after(100_000, func(context.Context) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	}),
	"forks a child and dies": after(100_000, func(context.Context) error {
		child := exec.Command("sleep", "1000")
		child.Stdout, child.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
		if err := child.Start(); err != nil {
			return err
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}),
	"returns early": after(100_000, func(context.Context) error { return nil }),
	"fails":         after(100_000, func(context.Context) error { return sink.Permanent(errors.New("no key to encrypt with")) }),
	"gives a receipt too large": func(_ context.Context, _ sink.Part, _ io.Writer, src io.Reader) (sink.Receipt, error) {
		_, err := io.Copy(io.Discard, src)
		return make(sink.Receipt, 1<<20), err
	},
	"floods its output": func(_ context.Context, _ sink.Part, dst io.Writer, _ io.Reader) (sink.Receipt, error) {
		for b := make([]byte, 1<<20); ; {
			if _, err := dst.Write(b); err != nil {
				return nil, err
			}
		}
	},
	"logs without end": noisy(func(w io.Writer) {
		for i := range 20_000 {
			fmt.Fprintf(w, `{"@level":"error","@message":"line %d","n":1}`+"\n", i)
		}
	}),
	"logs a giant line": noisy(func(w io.Writer) {
		for range 64 {
			_, _ = w.Write([]byte(strings.Repeat("x", 256<<10)))
		}
		fmt.Fprintln(w)
	}),
	"logs what is no JSON":     noisy(func(w io.Writer) { fmt.Fprint(w, "plain\n[WARN] a warning\n\x00\x01\xff\n") }),
	"logs malformed JSON":      noisy(func(w io.Writer) { fmt.Fprint(w, "{\"@message\":\n{\"@level\":\"info\"\n{]}\n") }),
	"logs JSON of odd types":   noisy(func(w io.Writer) { fmt.Fprint(w, oddJSON) }),
	"prints to stdout and err": noisy(func(io.Writer) { fmt.Println("by fmt"); fmt.Fprintln(os.Stderr, "to os.Stderr") }),
	"logs as it should": noisy(func(io.Writer) {
		hclog.Default().Named("uploads").Warn("slow down", "bucket", "b", "api_token", os.Getenv("API_TOKEN"))
	}),
}

const oddJSON = `{"@message":{"a":1},"@level":7,"@timestamp":[]}
{"@message":null,"@level":null}
{"@level":"error","@message":"odd","plugin":"somebody else","@timestamp":12,"x\u0000y":true}
[1,2]
"just a string"
`

// after reads n bytes, writing them out, and then does f.
func after(n int, f func(context.Context) error) encodeFunc {
	return func(ctx context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
		if _, err := io.CopyN(dst, src, int64(n)); err != nil {
			return nil, err
		}
		return nil, f(ctx)
	}
}

// noisy does f with the real stderr and is a correct stage otherwise.
func noisy(f func(io.Writer)) encodeFunc {
	return func(_ context.Context, _ sink.Part, dst io.Writer, src io.Reader) (sink.Receipt, error) {
		f(os.NewFile(2, "stderr"))
		_, err := io.Copy(dst, src)
		return nil, err
	}
}

// rawPlugin speaks the protocol without the SDK.
type rawPlugin struct {
	pluginpb.UnimplementedPluginServer
	pluginpb.UnimplementedStageServer
	pluginpb.UnimplementedSinkServer
	how string
}

func serveRaw(p *rawPlugin) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: wire.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.Dispensed: &wire.GRPC{Register: func(s *grpc.Server) {
			pluginpb.RegisterPluginServer(s, p)
			pluginpb.RegisterStageServer(s, p)
			pluginpb.RegisterSinkServer(s, p)
		}}}},
		GRPCServer: goplugin.DefaultGRPCServer,
		Logger:     hclog.NewNullLogger(),
	})
}

func (p *rawPlugin) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	switch p.how {
	case "offers nothing":
		return &pluginpb.DescribeResponse{}, nil
	case "offers a bad name":
		return &pluginpb.DescribeResponse{Components: []*pluginpb.Component{{Kind: 1, Name: "a\x1b[2Jb"}}}, nil
	}
	return &pluginpb.DescribeResponse{Components: []*pluginpb.Component{{Kind: 1, Name: "s"}, {Kind: 2, Name: "k"}}}, nil
}

func (p *rawPlugin) Configure(context.Context, *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	if p.how == "raw suffix climbs" {
		return &pluginpb.ConfigureResponse{Instance: "1", Version: "1", Suffix: "/../../etc/passwd"}, nil
	}
	return &pluginpb.ConfigureResponse{Instance: "1", Version: "1", Suffix: ".s"}, nil
}

func (p *rawPlugin) Health(context.Context, *pluginpb.HealthRequest) (*pluginpb.HealthResponse, error) {
	return &pluginpb.HealthResponse{}, nil
}

func (p *rawPlugin) Drain(context.Context, *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	return &pluginpb.DrainResponse{}, nil
}

func (p *rawPlugin) List(_ *pluginpb.ListRequest, out grpc.ServerStreamingServer[pluginpb.ListResponse]) error {
	for p.how == "raw lists without end" {
		if err := out.Send(&pluginpb.ListResponse{Document: make([]byte, 1<<20)}); err != nil {
			return err
		}
	}
	return out.Send(&pluginpb.ListResponse{Document: []byte(`{"id":`), Last: true})
}

func (p *rawPlugin) Encode(_ context.Context, req *pluginpb.EncodeRequest) (*pluginpb.EncodeResponse, error) {
	if p.how == "does not connect" {
		select {}
	}
	if p.how == "is done without connecting" {
		return &pluginpb.EncodeResponse{}, nil
	}
	if p.how == "connects with a wrong token" {
		req.Stream.Token[0]++
	}
	conn, err := net.Dial("unix", req.GetStream().GetSocket())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append([]byte("SPILLWY1"), req.GetStream().GetToken()...)); err != nil {
		return nil, err
	}
	return rawEncodes[p.how](conn, stream.NewReader(conn), stream.NewWriter(conn))
}

// rawEncodes are stages that lie about the bytes. Only the first of their
// answers is read by the caller before it looks at the stream.
var rawEncodes = map[string]func(net.Conn, *stream.Reader, *stream.Writer) (*pluginpb.EncodeResponse, error){
	"does not connect":            nil,
	"is done without connecting":  nil,
	"connects with a wrong token": func(net.Conn, *stream.Reader, *stream.Writer) (*pluginpb.EncodeResponse, error) { select {} },
	"says it is done too early": func(_ net.Conn, r *stream.Reader, w *stream.Writer) (*pluginpb.EncodeResponse, error) {
		_, _ = io.ReadFull(r, make([]byte, 1000))
		return &pluginpb.EncodeResponse{Read: wire.Totals(r.Totals()), Written: wire.Totals(w.Totals())}, w.Seal()
	},
	"lies about what it read": honest(func(read, _ *pluginpb.Totals) { read.Bytes-- }),
	"lies about the digest":   honest(func(read, _ *pluginpb.Totals) { read.Crc32++ }),
	"lies about what it wrote": honest(func(_, written *pluginpb.Totals) {
		written.Bytes += 1000
	}),
	"seals with a wrong size": func(c net.Conn, r *stream.Reader, w *stream.Writer) (*pluginpb.EncodeResponse, error) {
		_, _ = io.Copy(w, r)
		_ = w.Flush()
		_, err := c.Write([]byte("\x01\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"))
		return &pluginpb.EncodeResponse{Read: wire.Totals(r.Totals()), Written: &pluginpb.Totals{Bytes: 1}}, err
	},
	"cuts the stream": func(c net.Conn, r *stream.Reader, w *stream.Writer) (*pluginpb.EncodeResponse, error) {
		_, _ = io.Copy(w, r)
		_ = w.Flush()
		return &pluginpb.EncodeResponse{Read: wire.Totals(r.Totals()), Written: wire.Totals(w.Totals())}, c.Close()
	},
	"never seals": func(c net.Conn, r *stream.Reader, w *stream.Writer) (*pluginpb.EncodeResponse, error) {
		_, _ = io.Copy(w, r)
		_ = w.Flush()
		leaked = append(leaked, c)
		return &pluginpb.EncodeResponse{Read: wire.Totals(r.Totals()), Written: wire.Totals(w.Totals())}, nil
	},
	"writes garbage": func(c net.Conn, r *stream.Reader, _ *stream.Writer) (*pluginpb.EncodeResponse, error) {
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\nhello"))
		_, _ = io.Copy(io.Discard, r)
		return nil, nil
	},
}

// leaked keeps connections open until the plugin ends.
var leaked []net.Conn

// honest copies, and lets lie change what it says about that.
func honest(lie func(read, written *pluginpb.Totals)) func(net.Conn, *stream.Reader, *stream.Writer) (*pluginpb.EncodeResponse, error) {
	return func(_ net.Conn, r *stream.Reader, w *stream.Writer) (*pluginpb.EncodeResponse, error) {
		if _, err := io.Copy(w, r); err != nil {
			return nil, err
		}
		out := &pluginpb.EncodeResponse{Read: wire.Totals(r.Totals()), Written: wire.Totals(w.Totals())}
		lie(out.Read, out.Written)
		return out, w.Seal()
	}
}

// hangGuard is far beyond any deadline that these tests set.
const hangGuard = 5 * time.Minute
