// Package decoy makes an image's canary decoys: files named like the tools an
// intruder reaches for. Emit is a pure function of its options: it reads no
// clock, no random source and no file, so the same options give the same
// bytes, and another build id gives other keys, another mask and other hashes.
//
// There are two kinds of program. Tier A is an ELF file of under six kilobytes
// a decoy that Emit writes itself: it raises an authenticated alarm within some
// hundred microseconds. Tier B is ./multicall, built beforehand for each
// platform and hard-linked under every name: it tells who, from where and how,
// reports over the network and plays its part. By default A runs first and
// becomes B. Both must be executable but not readable (mode 0111), because
// they hold what signs alarms.
package decoy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy/internal/face"
	"github.com/hardstand/hardstand/canary/decoy/internal/stub"
	"github.com/hardstand/hardstand/canary/internal/config"
)

// MarkerPath is the file by which a decoy recognises its own image.
const MarkerPath = "/etc/image-id"

// What a decoy shows of the tool it is named after.
const (
	// ModeDeny lets the tool fail in a believable way. It is the default.
	ModeDeny = "deny"
	// ModeQuiet does the harmless real thing where the tool has one: ls, cat,
	// id, whoami, uname and env.
	ModeQuiet = "quiet"
)

// Which programs are planted.
const (
	// TierBoth plants tier A, which becomes tier B. It is the default on amd64
	// and arm64.
	TierBoth = "ab"
	// TierA needs no Binary; its decoys print one fixed text.
	TierA = "a"
	// TierB is the multi-call program alone: one alarm line an execution.
	TierB = "b"
)

// FullDir is where tier B stands when tier A has its place.
const FullDir = "/usr/libexec/coreutils"

// Decoy is one planted tool.
type Decoy struct {
	Name   string // of the tool; file names decide which tool is played
	Path   string // absolute; /usr/bin/NAME where empty
	Mode   string // ModeDeny where empty
	OnTrip string // alert.TripAlert and so on; Options.OnTrip where empty
}

// Options says what to plant. Binary, Arch, Master and BuildID are required.
type Options struct {
	Binary  []byte // the multi-call program for Arch, not yet configured; unused with TierA
	Cleaned bool   // Clean was called on Binary, and on the guard's
	Tier    string // where empty: TierBoth, or TierB on platforms other than amd64 and arm64
	Pad     int    // tier A programs have at least so many bytes
	Arch    string // GOARCH
	Master  alert.Master
	BuildID string // alert.CheckName says which form it has
	Image   string // for the register: what the image is called

	// Decoys replaces Default. A listed decoy that cannot be planted is an
	// error; one of the default set is left out instead.
	Decoys []Decoy
	// Each changes decoys by name: where a field is not empty, it counts. One
	// that is not planted is an error.
	Each map[string]Decoy
	// Exclude leaves out decoys by name or by absolute path.
	Exclude []string
	// Shadowed says whether the image ships a file at an absolute path.
	Shadowed func(path string) bool
	// Entrypoints are the programs the image declares to run: entrypoint,
	// command and health check, as absolute paths or bare names.
	Entrypoints []string

	OnTrip string // alert.TripAlert where empty
	Guard  *Guard // nil plants none

	// Collector is the https URL that alarms are posted to, CA the PEM that
	// it is verified with (the image's own bundle where empty), and Zone a
	// DNS zone that the collector answers for. Each may be empty.
	Collector string
	CA        []byte
	Zone      string
}

// File is a file to add to the image, owned by root.
type File struct {
	Path    string // absolute and clean
	Mode    fs.FileMode
	Content []byte
	LinkTo  string // hard link to the Path of an earlier File; then Content is nil
	SHA256  string // of Content, hexadecimal; empty for a link
}

// Result is what Emit made. Where tier B is planted, Files[0] is its program;
// links and tier A programs follow, then the marker.
type Result struct {
	Files    []File
	Register Register
}

// Register tells what was planted. It holds no secret, but an intruder who
// reads it knows the decoys: keep it out of the image and its public
// annotations.
type Register struct {
	Version  int          `json:"version"` // 1
	Build    string       `json:"build"`
	Image    string       `json:"image,omitempty"`
	Arch     string       `json:"arch"`
	Tier     string       `json:"tier"`
	Program  string       `json:"program,omitempty"` // SHA-256 of tier B, hexadecimal
	Marker   string       `json:"marker"`            // absolute path
	MarkerID string       `json:"markerSha256"`
	Socket   string       `json:"socket"` // abstract, without the leading NUL
	Guard    *Registered  `json:"guard,omitempty"`
	Decoys   []Registered `json:"decoys"`
	Skipped  []Skipped    `json:"skipped,omitempty"`
}

// Registered is a planted decoy.
type Registered struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // of the file, hexadecimal
	KeyID  string `json:"key"`
	Mode   string `json:"mode,omitempty"`
	OnTrip string `json:"onTrip"`
}

// Skipped is a decoy that was left out, and why.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Default returns the set that is planted where nothing else is asked for.
func Default() []Decoy {
	var list []Decoy
	for _, name := range []string{
		"sh", "bash", "ls", "cat", "id", "whoami", "ps", "uname", "env", "wget", "curl", "nc", "ncat", "socat",
		"ssh", "scp", "python3", "perl", "apt-get", "apk", "tar", "chmod", "find", "kubectl", "aws", "docker",
		"base64", "busybox", "su", "sudo",
	} {
		list = append(list, Decoy{Name: name})
	}
	return list
}

// Clean returns a multi-call program or a guard without what names its origin,
// as Emit plants it. A clean one stays as it is.
func Clean(program []byte) []byte { return config.Clean(program) }

// Configured returns where in a multi-call program or a guard Emit writes: the
// offsets of the first byte and of that after the last. Others have no such place:
// 0 and 0.
func Configured(program []byte) (from, to int) { return config.Find(program) }

// Emit makes the files and the register.
func Emit(o Options) (Result, error) {
	if o.Tier == "" {
		o.Tier = TierBoth
		if !stub.Supports(o.Arch) {
			o.Tier = TierB
		}
	}
	if err := o.check(); err != nil {
		return Result{}, fmt.Errorf("emit decoys: %w", err)
	}
	planted, skipped, err := o.place()
	if err != nil {
		return Result{}, fmt.Errorf("emit decoys: %w", err)
	}
	files, err := o.layOut(planted)
	if err != nil {
		return Result{}, fmt.Errorf("emit decoys: %w", err)
	}
	return Result{Files: files, Register: o.register(planted, skipped, files)}, nil
}

func (o Options) check() error {
	switch o.Tier {
	case TierA, TierB, TierBoth:
	default:
		return fmt.Errorf("tier %q: want %s, %s or %s", o.Tier, TierA, TierB, TierBoth)
	}
	if len(o.Binary) == 0 && o.Tier != TierA {
		return errors.New("there is no multi-call program for this platform")
	}
	if o.Arch == "" {
		return errors.New("the architecture is missing")
	}
	if o.Master.IsZero() {
		return errors.New("the canary master secret is missing; `hardstand canary keygen` makes one")
	}
	if err := alert.CheckName(o.BuildID); err != nil {
		return fmt.Errorf("build id: %w", err)
	}
	if o.Collector != "" {
		u, err := url.Parse(o.Collector)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("collector %q: want an https URL without a user", o.Collector)
		}
	}
	if (o.Collector != "" || o.Zone != "") && (o.Tier == TierA || !config.Networked(o.Binary)) {
		return errors.New("a collector or zone is set, but no planted program can use the network: plant tier B, built without the tag nonet")
	}
	return checkPolicy(o.OnTrip)
}

func checkPolicy(onTrip string) error {
	switch onTrip {
	case "", alert.TripAlert, alert.TripDegrade, alert.TripFall:
		return nil
	}
	return fmt.Errorf("on-trip %q: want %s, %s or %s", onTrip, alert.TripAlert, alert.TripDegrade, alert.TripFall)
}

// place completes the wanted decoys and leaves out those that must not be.
func (o Options) place() (planted []Decoy, skipped []Skipped, err error) {
	wanted, explicit := o.Decoys, true
	if wanted == nil {
		wanted, explicit = Default(), false
	}
	names := map[string]bool{}
	for _, d := range wanted {
		own := o.Each[d.Name]
		d.Path, d.Mode, d.OnTrip = cmp.Or(own.Path, d.Path), cmp.Or(own.Mode, d.Mode), cmp.Or(own.OnTrip, d.OnTrip)
		if d, err = o.complete(d); err != nil {
			return nil, nil, fmt.Errorf("decoy %q: %w", d.Name, err)
		}
		if names[d.Name] {
			return nil, nil, fmt.Errorf("decoy %q is listed twice", d.Name)
		}
		names[d.Name] = true
		if slices.Contains(o.Exclude, d.Name) || slices.Contains(o.Exclude, d.Path) {
			skipped = append(skipped, Skipped{d.Name, "excluded by the definition"})
			continue
		}
		if reason := o.conflict(d); reason != "" {
			if explicit {
				return nil, nil, fmt.Errorf("decoy %q cannot be planted: %s", d.Name, reason)
			}
			skipped = append(skipped, Skipped{d.Name, reason})
			continue
		}
		planted = append(planted, d)
	}
	for name := range o.Each {
		if !slices.ContainsFunc(planted, func(d Decoy) bool { return d.Name == name }) {
			return nil, nil, fmt.Errorf("decoy %q has settings but is not planted", name)
		}
	}
	if len(planted) == 0 {
		return nil, nil, errors.New("no decoy is left to plant")
	}
	return planted, skipped, nil
}

func (o Options) complete(d Decoy) (Decoy, error) {
	if err := alert.CheckName(d.Name); err != nil {
		return d, err
	}
	d.Path = cmp.Or(d.Path, "/usr/bin/"+d.Name)
	d.Mode = cmp.Or(d.Mode, ModeDeny)
	d.OnTrip = cmp.Or(d.OnTrip, o.OnTrip, alert.TripAlert)
	switch {
	case !path.IsAbs(d.Path) || path.Clean(d.Path) != d.Path:
		return d, fmt.Errorf("path %q is not absolute and clean", d.Path)
	case path.Base(d.Path) != d.Name:
		return d, fmt.Errorf("path %q must end in the decoy's name, by which it is told apart", d.Path)
	case d.Mode != ModeDeny && d.Mode != ModeQuiet:
		return d, fmt.Errorf("mode %q: want %s or %s", d.Mode, ModeDeny, ModeQuiet)
	case d.Mode == ModeQuiet && !face.Quiet(d.Name):
		return d, fmt.Errorf("mode %s: this tool has no harmless real behaviour; use %s", ModeQuiet, ModeDeny)
	}
	return d, checkPolicy(d.OnTrip)
}

// searched are the folders in which a bare name is looked up. A decoy in one
// hides a tool of that name in a later one.
var searched = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

func (o Options) conflict(d Decoy) string {
	for _, program := range o.Entrypoints {
		if program == d.Name || canonical(program) == canonical(d.Path) {
			return "the image declares to run " + program
		}
	}
	if o.Shadowed == nil {
		return ""
	}
	paths := []string{d.Path}
	if slices.Contains(searched, path.Dir(d.Path)) {
		for _, dir := range searched {
			paths = append(paths, path.Join(dir, d.Name))
		}
	}
	for _, p := range paths {
		if o.Shadowed(p) {
			return "the image ships " + p
		}
	}
	return ""
}

// canonical follows the links of a merged /usr.
func canonical(file string) string {
	file = path.Clean(file)
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/"} {
		if strings.HasPrefix(file, dir) {
			return "/usr" + file
		}
	}
	return file
}

func (o Options) configuration(planted []Decoy) config.Config {
	c := config.Config{
		Build: o.BuildID, Marker: MarkerPath, Socket: Socket(o.Master, o.BuildID),
		Proof:     o.proof(),
		Collector: o.Collector, CA: o.CA, Zone: o.Zone,
	}
	for _, d := range planted {
		c.Decoys = append(c.Decoys, config.Decoy{
			Name: d.Name, Key: o.Master.Key(o.BuildID, d.Name).Bytes(), Quiet: d.Mode == ModeQuiet, OnTrip: d.OnTrip,
		})
	}
	return c
}

// Socket is the abstract socket, without its leading NUL, on which the decoys
// of an image offer their alarms to a guard or a sidecar.
func Socket(master alert.Master, buildID string) string {
	return hex.EncodeToString(master.Derive("socket", 12, buildID))
}

func (o Options) register(planted []Decoy, skipped []Skipped, files []File) Register {
	sums := map[string]string{}
	for i, f := range files {
		if f.LinkTo != "" {
			sums[f.Path] = sums[f.LinkTo]
			continue
		}
		if f.SHA256 == "" {
			files[i].SHA256 = digest(f.Content)
		}
		sums[f.Path] = files[i].SHA256
	}
	r := Register{
		Version: 1, Build: o.BuildID, Image: o.Image, Arch: o.Arch, Tier: o.Tier,
		Marker: MarkerPath, MarkerID: sums[MarkerPath], Socket: Socket(o.Master, o.BuildID), Skipped: skipped,
	}
	if o.Tier != TierA {
		r.Program = files[0].SHA256
	}
	if o.Guard != nil {
		file := cmp.Or(o.Guard.Path, "/usr/bin/tini")
		r.Guard = &Registered{
			Name: alert.Guard, Path: file, SHA256: sums[file], KeyID: o.Master.Key(o.BuildID, alert.Guard).ID(), OnTrip: alert.TripAlert,
		}
	}
	for _, d := range planted {
		r.Decoys = append(r.Decoys, Registered{
			Name: d.Name, Path: d.Path, SHA256: sums[d.Path], KeyID: o.Master.Key(o.BuildID, d.Name).ID(), Mode: d.Mode, OnTrip: d.OnTrip,
		})
	}
	return r
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

const maxRegister = 1 << 20 // bytes

// ParseRegister reads a register that was written as JSON.
func ParseRegister(text []byte) (Register, error) {
	if len(text) > maxRegister {
		return Register{}, fmt.Errorf("parse decoy register: %d bytes, the limit is %d", len(text), maxRegister)
	}
	var r Register
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Register{}, fmt.Errorf("parse decoy register: %w", err)
	}
	if r.Version != 1 || alert.CheckName(r.Build) != nil {
		return Register{}, fmt.Errorf("parse decoy register: version %d, build %q: want version 1 and a build id", r.Version, r.Build)
	}
	return r, nil
}
