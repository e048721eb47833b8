package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
)

// layerRecord is what the cache remembers of a layer.
type layerRecord struct {
	Digest cache.Digest `json:"digest"`
	DiffID cache.Digest `json:"diff-id"`
	Size   int64        `json:"size"`
	// Offsets are where the segments begin, in bytes.
	Offsets []int64 `json:"offsets"`
}

// layerPlan is a layer that is not written yet.
type layerPlan struct {
	group
	key cache.Digest
	// lead are the directories of the first segment, if it is the probe's: it
	// stands before all others, and dirs after it.
	lead, dirs []rootfs.Entry
}

// plan says what the layer of a group will be.
func (st *store) plan(tree *rootfs.Tree, g group) (layerPlan, error) {
	p := layerPlan{group: g}
	rest := g.segments
	if i := slices.IndexFunc(rest, func(s *segment) bool { return s.Leads }); i >= 0 {
		first := rest[i]
		rest = slices.Concat(rest[:i], rest[i+1:])
		p.segments = append([]*segment{first}, rest...)
		p.lead = tree.Dirs([]*rootfs.Segment{first.Segment})
	}
	parts := []string{"layer", transformVersion, st.by.encoder}
	for _, s := range p.segments {
		parts = append(parts, string(s.key))
	}
	var list []*rootfs.Segment
	for _, s := range rest {
		list = append(list, s.Segment)
	}
	p.dirs = slices.DeleteFunc(tree.Dirs(list), func(d rootfs.Entry) bool {
		return slices.ContainsFunc(p.lead, func(l rootfs.Entry) bool { return l.Path == d.Path })
	})
	meta, err := json.Marshal([][]rootfs.Entry{p.lead, p.dirs})
	if err != nil {
		return layerPlan{}, err
	}
	p.key = cache.Key(append(parts, string(meta))...)
	return p, nil
}

// write returns a layer, from the cache when it is there.
func (st *store) write(ctx context.Context, p layerPlan) (oci.Layer, error) {
	rec, err, _ := inFlight.Do(st.Dir()+"\x00"+string(p.key), func() (any, error) {
		if r, ok := st.made.Load(p.key); ok && st.Contains(r.(layerRecord).Digest, r.(layerRecord).Size) {
			return r, nil
		}
		r, err := st.layer(ctx, p)
		if err == nil {
			st.made.Store(p.key, r)
		}
		return r, err
	})
	if err != nil {
		return oci.Layer{}, fmt.Errorf("write layer of %s: %w", p.note, err)
	}
	r := rec.(layerRecord)
	for i, s := range p.segments {
		if err := st.layered(s, r.Digest, r.Offsets[i]); err != nil {
			return oci.Layer{}, err
		}
		if p.kind != dataKind && p.kind != addedKind { // whose packages another platform has too
			s.held.release()
		}
	}
	return r.layer(st.Path(r.Digest), p.note, st.by), nil
}

// layer finds or writes a layer, whose content has been hashed either way.
func (st *store) layer(ctx context.Context, p layerPlan) (layerRecord, error) {
	var r layerRecord
	if data, err := st.Record(p.key); err == nil && json.Unmarshal(data, &r) == nil && len(r.Offsets) == len(p.segments) {
		if _, err := st.blob(r.Digest); err == nil {
			return r, nil
		}
	}
	r, err := st.writeLayer(ctx, p)
	if err != nil {
		return r, err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	return r, st.PutRecord(p.key, data)
}

func (r layerRecord) layer(file, note string, by codec) oci.Layer {
	return oci.Layer{
		Digest: v1.Hash{Algorithm: "sha256", Hex: string(r.Digest)}, DiffID: v1.Hash{Algorithm: "sha256", Hex: string(r.DiffID)},
		Size: r.Size, Path: file, Note: note, Compression: by.name,
	}
}

// errCacheLost is wrapped when the cache remembers a segment whose bytes are
// gone or damaged. Assembling again makes them anew.
var errCacheLost = errors.New("the cache lost a segment")

// writeLayer strings a layer together: the probe, the directories, the segments,
// the trailer. The segments' compressed blocks are copied as they are, so nothing
// is compressed twice.
func (st *store) writeLayer(ctx context.Context, p layerPlan) (layerRecord, error) {
	w, err := st.Create()
	if err != nil {
		return layerRecord{}, err
	}
	defer w.Abort()
	diff := sha256.New()
	r := layerRecord{Offsets: make([]int64, len(p.segments))}
	// While one goroutine writes the compressed form, another hashes the tar, if
	// all of it is in memory.
	var plain io.Writer = diff
	var hashing errgroup.Group
	if held, ok := allHeld(p.segments); ok {
		plain = io.Discard
		hashing.Go(func() error { return p.hashTar(diff, held) })
	}
	err = st.writePacked(ctx, w, plain, p, r.Offsets)
	if err := cmp.Or(err, hashing.Wait()); err != nil {
		return layerRecord{}, err
	}
	r.Digest, r.DiffID, r.Size = w.Sum(), cache.HashOf(diff), w.Size()
	return r, w.Commit(r.Digest)
}

// part is a part of a layer: directories, or a segment.
type part struct {
	dirs    []rootfs.Entry
	segment int // of the plan's, -1 for directories
}

// parts returns what stands before the trailer, in order.
func (p layerPlan) parts() []part {
	var list []part
	begin := func(dirs []rootfs.Entry) { list = append(list, part{dirs, -1}) }
	if p.lead != nil {
		begin(p.lead)
	} else {
		begin(p.dirs)
	}
	for i := range p.segments {
		list = append(list, part{nil, i})
		if i == 0 && p.lead != nil {
			begin(p.dirs)
		}
	}
	return list
}

// writePacked writes a layer and, to plain, the tar that it is. It notes where
// the segments begin.
func (st *store) writePacked(ctx context.Context, w *cache.Writer, plain io.Writer, p layerPlan, offsets []int64) error {
	for _, part := range p.parts() {
		if part.segment < 0 {
			if err := member(st.by, w, plain, func(m io.Writer) error { return rootfs.WriteDirs(m, part.dirs) }); err != nil {
				return err
			}
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		offsets[part.segment] = w.Size()
		if err := st.copySegment(w, plain, p.segments[part.segment]); err != nil {
			return err
		}
	}
	return member(st.by, w, plain, rootfs.WriteTrailer)
}

// allHeld returns the blocks of segments that are all in memory.
func allHeld(segments []*segment) (held [][]tarBlock, ok bool) {
	for _, s := range segments {
		list, ok := s.held.all()
		if !ok {
			return nil, false
		}
		held = append(held, list)
	}
	return held, true
}

// hashTar hashes a layer's tar.
func (p layerPlan) hashTar(diff hash.Hash, segments [][]tarBlock) error {
	parts := p.parts()
	if p.lead != nil && p.resume(diff, segments[0]) {
		parts = parts[2:]
	}
	for _, part := range parts {
		if part.segment < 0 {
			if err := rootfs.WriteDirs(diff, part.dirs); err != nil {
				return err
			}
		} else if err := writePlain(diff, segments[part.segment]); err != nil {
			return err
		}
	}
	return rootfs.WriteTrailer(diff)
}

// resume brings a new hash to where it is after the leading directories and
// segment, without unpacking the program that is in the segment. It reports
// whether it did: what stands around the program must be what the start was
// hashed with.
func (p layerPlan) resume(diff hash.Hash, first []tarBlock) bool {
	start := p.segments[0].start
	if start == nil {
		return false
	}
	frame := sha256.New()
	if err := rootfs.WriteDirs(frame, p.lead); err != nil {
		return false
	}
	for _, t := range first {
		if t.unpack == nil {
			frame.Write(t.plain) //nolint:errcheck // a hash takes everything
		}
	}
	return cache.HashOf(frame) == start.Frame && start.Resume(diff) == nil
}

// member writes one gzip member, or zstd frame, and to plain what is in it.
func member(by codec, w, plain io.Writer, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(io.MultiWriter(&b, plain)); err != nil {
		return err
	}
	data, err := by.compress(b.Bytes())
	if err != nil {
		return fmt.Errorf("compress layer: %w", err)
	}
	_, err = w.Write(data)
	return err
}
