package decoy

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/canary/decoy/internal/face"
	"github.com/hardstand/hardstand/canary/decoy/internal/stub"
	"github.com/hardstand/hardstand/canary/internal/config"
)

const decoyMode = 0o111 // a decoy that can be read gives away its key

// layOut makes the files: tier B and its links, tier A, the marker.
func (o Options) layOut(planted []Decoy) ([]File, error) {
	c := o.configuration(planted)
	var small []File
	var smallErr error
	var making sync.WaitGroup
	making.Go(func() { small, smallErr = o.fastFiles(planted, c) }) // while the large one is hashed
	files, err := o.fullFiles(planted, c)
	making.Wait()
	if err := cmp.Or(err, smallErr); err != nil {
		return nil, err
	}
	files = append(files, small...)
	if o.Tier == TierBoth && o.Shadowed != nil {
		for _, d := range planted {
			if o.Shadowed(o.fullPath(d)) {
				return nil, fmt.Errorf("the image ships %s; exclude the decoy %s or use tier %s", o.fullPath(d), d.Name, TierB)
			}
		}
	}
	guard, err := o.guardFiles(planted, c)
	if err != nil {
		return nil, err
	}
	files = append(files, guard...)
	return append(files, File{Path: c.Marker, Mode: 0o444, Content: c.Proof}), nil
}

// fullFiles makes tier B and its links, if it is wanted.
func (o Options) fullFiles(planted []Decoy, c config.Config) ([]File, error) {
	if o.Tier == TierA {
		return nil, nil
	}
	program, err := config.Fill(o.clean(o.Binary), c, o.seed("mask", ""))
	if err != nil {
		return nil, err
	}
	files := []File{{Path: o.fullPath(planted[0]), Mode: decoyMode, Content: program, SHA256: digest(program)}}
	for _, d := range planted[1:] {
		files = append(files, File{Path: o.fullPath(d), Mode: decoyMode, LinkTo: files[0].Path})
	}
	return files, nil
}

// fastFiles makes tier A, if it is wanted.
func (o Options) fastFiles(planted []Decoy, c config.Config) ([]File, error) {
	if o.Tier == TierB {
		return nil, nil
	}
	files := make([]File, len(planted))
	for i, d := range planted {
		program, err := o.fast(d, c)
		if err != nil {
			return nil, err
		}
		files[i] = File{Path: d.Path, Mode: decoyMode, Content: program}
	}
	return files, nil
}

// clean returns a copy of a program that is clean.
func (o Options) clean(program []byte) []byte {
	if o.Cleaned {
		return bytes.Clone(program)
	}
	return config.Clean(program)
}

// fullPath is where tier B's link for d stands.
func (o Options) fullPath(d Decoy) string {
	if o.Tier == TierBoth {
		return path.Join(FullDir, d.Name)
	}
	return d.Path
}

func (o Options) seed(label, name string) uint64 {
	return binary.BigEndian.Uint64(o.Master.Derive(label, 8, o.BuildID, o.Arch, name))
}

// fast makes a tier A program. Where tier B follows, that one reacts and plays
// the part.
func (o Options) fast(d Decoy, c config.Config) ([]byte, error) {
	p := stub.Params{
		Build: o.BuildID, Decoy: d.Name, Key: o.Master.Key(o.BuildID, d.Name), OnTrip: d.OnTrip,
		Marker: c.Marker, Proof: c.Proof, Socket: c.Socket, Seed: o.seed("fast mask", d.Name), Size: o.Pad,
	}
	p.Face, p.Stream, p.Code = fixedFace(d.Name)
	if o.Tier == TierBoth {
		p.Chain, p.Hold = o.fullPath(d), true
	}
	return stub.Program(o.Arch, p)
}

// fixedFace is what the tool prints in any surroundings, when called without
// arguments; where that differs, it claims that a library is missing.
func fixedFace(name string) (text string, stream, code int) {
	const longest = stub.MaxFace
	play := func(name string, w face.World) (string, string, int) {
		var out, errs strings.Builder
		w.In, w.Out, w.Err = strings.NewReader(""), &out, &errs
		w.Exists = func(string) bool { return false }
		code := face.Play(face.Call{Name: name, World: w})
		return out.String(), errs.String(), code
	}
	out, errs, code := play(name, face.World{Cwd: "/", UID: 1})
	out2, errs2, code2 := play(name, face.World{Cwd: "/x", UID: 2, PID: 2})
	switch fixed := out == out2 && errs == errs2 && code == code2; {
	case fixed && out == "" && errs != "" && len(errs) <= longest:
		return errs, 2, code
	case fixed && errs == "" && out != "" && len(out) <= longest:
		return out, 1, code
	}
	_, errs, code = play("", face.World{})
	return name + errs, 2, code
}

// proof is the content of the marker file.
func (o Options) proof() []byte {
	return []byte(hex.EncodeToString(o.Master.Derive("marker", 16, o.BuildID)) + "\n")
}

// formatVersion changes with what Emit makes of the same options and programs.
const formatVersion = "1"

// Version names what Emit makes of the same options and programs: the code of
// tier A and the layout. A cache of emitted files has it in its key.
func Version() string { return formatVersion + "-" + stub.Version() }
