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
	Definition string                `json:"definition"` // "sha256:" of LockInput
	Suites     []LockedSuite         `json:"suites"`
	Platforms  map[string][]*Package `json:"platforms"` // by Platform.String, in order of names
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
	Archive       string   `json:"archive"` // debian or debian-security
	Path          string   `json:"path"`    // below the archive's root
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
	}{d.Debian, sorted(d.Packages), sorted(d.Deny), sorted(d.IgnoreDepends), platforms})
	if err != nil {
		panic(err) // every field can be marshalled
	}
	return b
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// DigestOf gives "sha256:" and the digest of data in hexadecimal.
func DigestOf(data []byte) string {
	s := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(s[:])
}

// Matches reports whether the lock was made for this definition.
func (l *Lock) Matches(d *Definition) bool { return l.Definition == DigestOf(d.LockInput()) }

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
	if err := checkDuplicates(file, data); err != nil {
		return nil, err
	}
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, jsonError(file, data, dec.InputOffset(), err)
	}
	if err := l.check(file); err != nil {
		return nil, err
	}
	return &l, nil
}

func (l *Lock) check(file string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", file, fmt.Sprintf(format, args...))
	}
	if l.Version != LockVersion {
		return fail("lock version %d is not supported, want %d: run hardstand lock again", l.Version, LockVersion)
	}
	if l.Name == "" || !strings.HasPrefix(l.Definition, "sha256:") || len(l.Platforms) == 0 {
		return fail("the lock is incomplete")
	}
	for _, platform := range slices.Sorted(maps.Keys(l.Platforms)) {
		p, err := ParsePlatform(platform)
		if err != nil {
			return fail("%v", err)
		}
		names := map[string]bool{}
		for _, pkg := range l.Platforms[platform] {
			switch {
			case pkg == nil || !validPackage(pkg.Name):
				return fail("%s: bad package name", platform)
			case names[pkg.Name]:
				return fail("%s: package %s is locked twice", platform, pkg.Name)
			case len(pkg.SHA256) != 64 || strings.Trim(pkg.SHA256, "0123456789abcdef") != "":
				return fail("%s: package %s: bad sha256 %q", platform, pkg.Name, pkg.SHA256)
			case pkg.Size <= 0 || pkg.Version == "" || pkg.Path == "":
				return fail("%s: package %s: size, version or path is missing", platform, pkg.Name)
			case pkg.Architecture != "all" && pkg.Architecture != p.DebianArch():
				return fail("%s: package %s is for %s", platform, pkg.Name, pkg.Architecture)
			}
			names[pkg.Name] = true
		}
	}
	return nil
}

// checkDuplicates finds keys that appear twice in one object, of which
// encoding/json would silently take the last.
func checkDuplicates(file string, data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var stack []map[string]bool // nil for an array
	key := false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return jsonError(file, data, dec.InputOffset(), err)
		}
		switch delim, isDelim := token.(json.Delim); {
		case isDelim && (delim == '{' || delim == '['):
			var object map[string]bool
			if delim == '{' {
				object = map[string]bool{}
			}
			stack = append(stack, object)
		case isDelim:
			stack = stack[:len(stack)-1]
		case key:
			name, top := token.(string), stack[len(stack)-1]
			if top[name] {
				return &Error{position(file, data, dec.InputOffset()), fmt.Sprintf("key %q appears twice", name)}
			}
			top[name], key = true, false
			continue
		}
		key = len(stack) > 0 && stack[len(stack)-1] != nil
	}
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
	return &Error{position(file, data, offset), strings.TrimPrefix(err.Error(), "json: ")}
}

func position(file string, data []byte, offset int64) Position {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte{'\n'})
	return Position{file, line + 1, len(before) - bytes.LastIndexByte(before, '\n')}
}
