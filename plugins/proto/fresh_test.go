package pluginpb_test

import (
	"context"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// TestGeneratedCodeIsFresh compiles plugin.proto and compares it with what the
// generated code says it was made from.
func TestGeneratedCodeIsFresh(t *testing.T) {
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{}}
	files, err := c.Compile(context.Background(), "plugin.proto")
	if err != nil {
		t.Fatal(err)
	}
	want := protodesc.ToFileDescriptorProto(files[0])
	got := protodesc.ToFileDescriptorProto(pluginpb.File_plugin_proto)
	for _, d := range []*descriptorpb.FileDescriptorProto{want, got} {
		d.SourceCodeInfo = nil
	}
	if !proto.Equal(got, want) {
		t.Errorf("run go generate ./plugins/proto: generated code (-) and plugin.proto (+) differ:\n%s", cmp.Diff(got, want, protocmp.Transform()))
	}
}
