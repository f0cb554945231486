package wire

import (
	"encoding/json"
	"fmt"

	"github.com/spillwaydb/spillway/core/sink"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
	"github.com/spillwaydb/spillway/plugins/stream"
)

// KindName is a kind of component as messages call it.
func KindName(k pluginpb.Kind) string {
	switch k {
	case pluginpb.Kind_KIND_STAGE:
		return "stage"
	case pluginpb.Kind_KIND_SINK:
		return "sink"
	}
	return "component of an unknown kind"
}

// Part is p as a message.
func Part(p sink.Part) *pluginpb.Part {
	return &pluginpb.Part{
		Job: p.Job, Kind: string(p.Kind), Generation: p.Generation, Token: p.Token,
		Shard: int32(p.Shard), Shards: int32(p.Shards), Name: p.Name,
	}
}

// PartFrom is the part a message names.
func PartFrom(m *pluginpb.Part) sink.Part {
	return sink.Part{
		Job: m.GetJob(), Kind: sink.Kind(m.GetKind()), Generation: m.GetGeneration(), Token: m.GetToken(),
		Shard: int(m.GetShard()), Shards: int(m.GetShards()), Name: m.GetName(),
	}
}

// SetID is id as a message.
func SetID(id sink.SetID) *pluginpb.SetId {
	return &pluginpb.SetId{Generation: id.Generation, Kind: string(id.Kind), Token: id.Token}
}

// SetIDFrom is the set a message names.
func SetIDFrom(m *pluginpb.SetId) sink.SetID {
	return sink.SetID{Generation: m.GetGeneration(), Kind: sink.Kind(m.GetKind()), Token: m.GetToken()}
}

// Totals is t as a message.
func Totals(t stream.Totals) *pluginpb.Totals {
	return &pluginpb.Totals{Bytes: t.Bytes, Crc32: t.CRC32}
}

// TotalsFrom is what a message counts; an absent one counts nothing.
func TotalsFrom(m *pluginpb.Totals) stream.Totals {
	return stream.Totals{Bytes: m.GetBytes(), CRC32: m.GetCrc32()}
}

// Document is a set as it travels: the JSON of SET.json's "set".
func Document(s sink.Set) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("set %s as JSON: %w", s.ID, err)
	}
	return b, nil
}

// SetFrom reads a document.
func SetFrom(doc []byte) (sink.Set, error) {
	var s sink.Set
	if err := json.Unmarshal(doc, &s); err != nil {
		return sink.Set{}, fmt.Errorf("the document of a set: %w", err)
	}
	return s, nil
}

// Pieces cuts a document into what messages may hold; there is at least one.
func Pieces(doc []byte) [][]byte {
	var out [][]byte
	for len(doc) > MaxPiece {
		out = append(out, doc[:MaxPiece])
		doc = doc[MaxPiece:]
	}
	return append(out, doc)
}
