package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxLock is the largest lock, in bytes.
const MaxLock = 16 << 20

// LockVersion is the format that this code writes and reads.
const LockVersion = 1

// Lock pins what a definition resolved to. A build from a lock touches no
// index: each package is fetched by its digest.
type Lock struct {
	Version    int                   `json:"version"`
	Name       string                `json:"name"`
	Definition string                `json:"definition"`     // "sha256:" of LockInput
	From       string                `json:"from,omitempty"` // the image to start from, by digest
	Suites     []LockedSuite         `json:"suites"`
	Platforms  map[string][]*Package `json:"platforms"` // by Platform.String, in order of names
	// Only are the platforms of a lock that is not kept, if those are not all of
	// the definition's.
	Only []Platform `json:"-"`
}

// LockedSuite is a suite as it was when the lock was made.
type LockedSuite struct {
	Suite     string    `json:"suite"`
	Version   string    `json:"version,omitempty"`
	Date      time.Time `json:"date"`
	InRelease string    `json:"inrelease"` // "sha256:" of the file
	Keys      []string  `json:"keys"`      // fingerprints whose signatures held
}

// Package is a locked binary package.
type Package struct {
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	Architecture  string   `json:"architecture"`
	Source        string   `json:"source"`
	SourceVersion string   `json:"source-version"`
	Suite         string   `json:"suite"`
	Archive       string   `json:"archive"` // debian, debian-security or Local
	Path          string   `json:"path"`    // below the archive's root; of a Local one, beside the definition
	SHA256        string   `json:"sha256"`  // of the .deb, 64 hexadecimal characters
	Size          int64    `json:"size"`    // of the .deb, bytes
	For           string   `json:"for"`     // the package or image that asked for it
	Ignored       []string `json:"ignored,omitempty"`
}

// LockInput is the part of a definition that decides what a lock holds, in
// canonical form. Changing anything else does not make the lock stale.
func (d *Definition) LockInput() []byte {
	platforms := make([]string, len(d.Platforms))
	for i, p := range d.Platforms {
		platforms[i] = p.String()
	}
	slices.Sort(platforms)
	b, err := json.Marshal(struct {
		Debian                           Debian
		Packages, Deny, Ignore, Platform []string
		From                             string   `json:",omitempty"`
		Debs                             []string `json:",omitempty"`
	}{d.Debian, sorted(d.Packages), sorted(d.Deny), sorted(d.IgnoreDepends), platforms, d.fromImage(), d.debSums()})
	if err != nil {
		panic(err) // every field can be marshalled
	}
	return b
}

// fromImage names the image to start from, or "".
func (d *Definition) fromImage() string {
	if d.From == nil {
		return ""
	}
	return d.From.Image
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// DigestOf gives "sha256:" and the digest of data in hexadecimal.
func DigestOf(data []byte) string {
	s := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(s[:])
}

// Matches reports whether the lock was made for this definition.
func (l *Lock) Matches(d *Definition) bool { return l.Definition == DigestOf(d.LockInput()) }

// Check reports how the lock falls short of the definition that it says it was
// made for: a lock is a file that people and merges edit.
func (l *Lock) Check(d *Definition) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("the lock of "+l.Name+" "+format, args...))
	}
	platforms := d.Platforms
	if l.Only != nil {
		platforms = l.Only
	} else if len(l.Platforms) != len(d.Platforms) {
		fail("has %d platforms, the definition %d", len(l.Platforms), len(d.Platforms))
	}
	if l.From != d.fromImage() {
		fail("starts from %q, the definition from %q", l.From, d.fromImage())
	}
	suites, debs, local := d.Debian.Suites(), d.debSums(), map[string]bool{}
	for _, platform := range platforms {
		locked := map[string]bool{}
		for _, pkg := range l.Platforms[platform.String()] {
			locked[pkg.Name] = true
			if slices.Contains(d.Deny, pkg.Name) {
				fail("holds %s for %s, which the definition denies", pkg.Name, platform)
			}
			if pkg.Archive == Local && pkg.Suite == Local && slices.Contains(debs, pkg.SHA256) {
				local[pkg.SHA256] = true
				continue
			}
			if !slices.Contains(suites, pkg.Suite) || pkg.Archive != "debian" && pkg.Archive != "debian-security" {
				fail("takes %s from %s of %s, which is no source of the definition", pkg.Name, pkg.Suite, pkg.Archive)
			}
		}
		for _, want := range d.Packages {
			if name, _, _ := strings.Cut(want, " "); !locked[name] && d.From == nil { // else that image may have it
				fail("lacks %s for %s", name, platform)
			}
		}
	}
	for _, sum := range debs {
		if !local[sum] && l.Only == nil {
			fail("lacks the package with the SHA-256 %s", sum)
		}
	}
	return errors.Join(errs...)
}

// Floors returns the date of each suite that the lock has seen.
func (l *Lock) Floors() map[string]time.Time {
	m := map[string]time.Time{}
	if l != nil {
		for _, s := range l.Suites {
			m[s.Suite] = s.Date
		}
	}
	return m
}

// Format gives the lock as it is written to disk.
func (l *Lock) Format() []byte {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		panic(err) // every field can be marshalled
	}
	return append(b, '\n')
}

// ParseLock reads a lock. file is its name in messages.
func ParseLock(file string, data []byte) (*Lock, error) {
	if len(data) > MaxLock {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", file, len(data), MaxLock)
	}
	places, err := survey(file, data)
	if err != nil {
		return nil, err
	}
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, jsonError(file, data, dec.InputOffset(), err)
	}
	if err := l.check(places); err != nil {
		return nil, err
	}
	return &l, nil
}

// check finds what is contradictory or missing.
func (l *Lock) check(at places) error {
	if l.Version != LockVersion {
		return at.fail("/version", "lock version %d is not supported, want %d: run hardstand lock again", l.Version, LockVersion)
	}
	if l.Name == "" || !strings.HasPrefix(l.Definition, "sha256:") || len(l.Platforms) == 0 {
		return at.fail("", "the lock is incomplete: name, definition or platforms is missing")
	}
	for _, platform := range slices.Sorted(maps.Keys(l.Platforms)) {
		p, err := ParsePlatform(platform)
		if err != nil {
			return at.fail("/platforms/"+platform, "%v", err)
		}
		names := map[string]bool{}
		for i, pkg := range l.Platforms[platform] {
			path := fmt.Sprintf("/platforms/%s/%d", platform, i)
			if err := pkg.check(p, at, path); err != nil {
				return err
			}
			if names[pkg.Name] {
				return at.fail(path+"/name", "package %s is locked twice for %s", pkg.Name, platform)
			}
			names[pkg.Name] = true
		}
	}
	return nil
}

func (pkg *Package) check(p Platform, at places, path string) error {
	switch {
	case pkg == nil || !validPackage(pkg.Name):
		return at.fail(path, "bad package name")
	case !validSHA256(pkg.SHA256):
		return at.fail(path+"/sha256", "package %s: bad sha256 %q", pkg.Name, pkg.SHA256)
	case pkg.Size <= 0 || pkg.Version == "" || pkg.Path == "":
		return at.fail(path, "package %s: size, version or path is missing", pkg.Name)
	case pkg.Architecture != "all" && pkg.Architecture != p.DebianArch():
		return at.fail(path+"/architecture", "package %s is for %s, not for %s", pkg.Name, pkg.Architecture, p)
	}
	return nil
}

// places knows where each value of a JSON document stands, by its path.
type places struct {
	file    string
	data    []byte
	offsets map[string]int64
}

func (p places) fail(path, format string, args ...any) error {
	return &Error{position(p.file, p.data, p.offsets[path]), fmt.Sprintf(format, args...)}
}

// level is an object or array being read.
type level struct {
	path string
	seen map[string]bool // keys so far; nil for an array
	next int             // index of the next element of an array
	key  string          // the key whose value comes next; "" before a key
}

// survey notes where everything stands and finds keys that appear twice in
// one object, of which encoding/json would silently take the last.
func survey(file string, data []byte) (places, error) {
	p := places{file, data, map[string]int64{}}
	dec := json.NewDecoder(bytes.NewReader(data))
	var stack []*level
	for {
		before := dec.InputOffset()
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return p, nil
		}
		if err != nil {
			return p, jsonError(file, data, dec.InputOffset(), err)
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		start := skipSpace(data, before)
		path := ""
		if len(stack) > 0 {
			top := stack[len(stack)-1]
			if top.seen != nil && top.key == "" {
				var ok bool
				if top.key, ok = token.(string); !ok || top.key == "" {
					return p, &Error{position(file, data, start), "a key is empty"}
				}
				if top.seen[top.key] {
					return p, &Error{position(file, data, start), fmt.Sprintf("key %q appears twice", top.key)}
				}
				top.seen[top.key] = true
				p.offsets[top.path+"/"+top.key] = start
				continue
			}
			path = top.child()
			p.offsets[path] = start
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, &level{path: path, seen: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, &level{path: path})
		}
	}
}

// child gives the path of the value that comes next.
func (l *level) child() string {
	if l.seen == nil {
		l.next++
		return fmt.Sprintf("%s/%d", l.path, l.next-1)
	}
	path := l.path + "/" + l.key
	l.key = ""
	return path
}

// skipSpace moves an offset past white space and the separators before a value.
func skipSpace(data []byte, offset int64) int64 {
	for int(offset) < len(data) && bytes.IndexByte([]byte(" \t\r\n,:"), data[offset]) >= 0 {
		offset++
	}
	return offset
}

func jsonError(file string, data []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{position(file, data, int64(len(data))), "the file ends too early"}
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	if key, ok := strings.CutPrefix(message, "unknown field "); ok {
		// encoding/json does not say where; the key's text does.
		offset = int64(max(bytes.Index(data, []byte(key+":")), bytes.Index(data, []byte(key))))
	}
	return &Error{position(file, data, offset), message}
}

// position turns an offset into the line and column of the byte there.
func position(file string, data []byte, offset int64) Position {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte{'\n'})
	return Position{file, line + 1, len(before) - bytes.LastIndexByte(before, '\n')}
}
