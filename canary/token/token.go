// Package token makes credential files that nobody has a reason to use. Each
// is what an intruder copies (an AWS profile, a kubeconfig, an SSH key, …) and
// each sends whoever uses it to our collector, with an identity that only the
// file holds.
//
// Make is a pure function: the same options give the same bytes, and every
// build id gives other identities and secrets. The collector derives what it
// must know to verify a use with Derive, from the same master.
package token

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// Options says what to make. Master, BuildID and Endpoint are required.
type Options struct {
	Master   alert.Master
	BuildID  string // alert.CheckName says which form it has
	Endpoint string // where a use is reported: an https URL, or a DNS name; see ParseEndpoint
	CA       []byte // PEM that a client verifies the endpoint with, where the format has a place for it

	Kinds []string // Kinds() where nil
	Home  string   // folder of the files; /home/nonroot where empty
	Date  time.Time
	// Shadowed says whether the image ships a file at an absolute path; a
	// token is never put in its place.
	Shadowed func(path string) bool

	Owner string // for the register: who answers for these files
	Route string // for the register: where alarms arrive
}

// File is one file to write, owned by the image's user.
type File struct {
	Path    string // absolute and clean
	Mode    fs.FileMode
	Content []byte
	ModTime time.Time
}

// Result is what Make made.
type Result struct {
	Files    []File
	Register Register
}

// Register tells what was planted. It holds no secret: a token's identity is
// sent by its use anyway.
type Register struct {
	Version   int          `json:"version"` // 1
	Build     string       `json:"build"`
	Endpoint  string       `json:"endpoint"`
	Owner     string       `json:"owner,omitempty"`
	Route     string       `json:"alertRoute,omitempty"`
	LastDrill string       `json:"lastDrill,omitempty"` // RFC 3339; empty until one was held
	Tokens    []Registered `json:"tokens"`
}

// Registered is one token. A use shows ID where the protocol has a user, a key
// id, a bearer token or a certificate; Proof says what shows that the secret
// was held.
type Registered struct {
	Kind   string   `json:"kind"`
	ID     string   `json:"id"`
	Paths  []string `json:"paths"`
	Proof  string   `json:"proof"`
	SHA256 []string `json:"sha256"` // of the files
}

// Credential is what a token's files hold and the collector derives.
type Credential struct {
	ID     string   // as it appears on the wire
	Secret string   // password, secret key or bearer token
	Seed   [32]byte // of a key pair, for kinds that have one
}

// Derive returns the credential of one token.
func Derive(master alert.Master, buildID, kind string) Credential {
	raw := master.Derive("token", 64, buildID, kind)
	c := Credential{ID: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:10])), Seed: [32]byte(raw[32:])}
	c.Secret = strings.NewReplacer("-", "x", "_", "y").Replace(base64.RawURLEncoding.EncodeToString(raw[10:32]))
	if f := kinds[kind].credential; f != nil {
		c = f(c)
	}
	return c
}

// kind makes one sort of token.
type kind struct {
	proof      string
	credential func(Credential) Credential // gives it the form of the service
	files      func(source) ([]File, error)
}

// source is what a kind makes its files from. Paths are below Home.
type source struct {
	Credential
	endpoint *url.URL
	ca       []byte
	home     string
	date     time.Time
}

func (s source) host() string { return s.endpoint.Hostname() }

func (s source) port(standard string) string { return cmp.Or(s.endpoint.Port(), standard) }

// text is a file below home.
func (s source) text(name, content string) File {
	return File{Path: path.Join(s.home, name), Mode: 0o600, Content: []byte(content), ModTime: s.date}
}

// Kinds returns the names of all sorts of tokens.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Make makes the files and the register.
func Make(o Options) (Result, error) {
	endpoint, err := o.check()
	if err != nil {
		return Result{}, fmt.Errorf("make tokens: %w", err)
	}
	home := cmp.Or(o.Home, "/home/nonroot")
	result := Result{Register: Register{Version: 1, Build: o.BuildID, Endpoint: endpoint.String(), Owner: o.Owner, Route: o.Route}}
	names := o.Kinds
	if names == nil {
		names = Kinds()
	}
	taken := map[string]bool{}
	for _, name := range names {
		k, known := kinds[name]
		if !known || taken[name] {
			return Result{}, fmt.Errorf("make tokens: kind %q is unknown or listed twice; there are %s", name, strings.Join(Kinds(), ", "))
		}
		taken[name] = true
		s := source{Credential: Derive(o.Master, o.BuildID, name), endpoint: endpoint, ca: o.CA, home: home, date: o.age(name)}
		files, err := k.files(s)
		if err != nil {
			return Result{}, fmt.Errorf("make token %s: %w", name, err)
		}
		registered := Registered{Kind: name, ID: s.ID, Proof: k.proof}
		for _, f := range files {
			if taken[f.Path] || o.Shadowed != nil && o.Shadowed(f.Path) {
				return Result{}, fmt.Errorf("make token %s: %s is taken; leave the kind out or choose another home", name, f.Path)
			}
			taken[f.Path] = true
			sum := sha256.Sum256(f.Content)
			registered.Paths = append(registered.Paths, f.Path)
			registered.SHA256 = append(registered.SHA256, hex.EncodeToString(sum[:]))
			result.Files = append(result.Files, f)
		}
		result.Register.Tokens = append(result.Register.Tokens, registered)
	}
	return result, nil
}

func (o Options) check() (*url.URL, error) {
	if o.Master.IsZero() {
		return nil, errors.New("the canary master secret is missing; `hardstand canary keygen` makes one")
	}
	if err := alert.CheckName(o.BuildID); err != nil {
		return nil, fmt.Errorf("build id: %w", err)
	}
	if o.Home != "" && (!path.IsAbs(o.Home) || path.Clean(o.Home) != o.Home) {
		return nil, fmt.Errorf("home %q is not absolute and clean", o.Home)
	}
	return ParseEndpoint(o.Endpoint)
}

const maxEndpoint = 1024 // bytes

// ParseEndpoint reads where a use is reported: a URL of our own collector, or
// what a service like canarytokens.org hands out, a URL or a bare DNS name. A
// DNS name becomes an https URL: resolving it is already a report.
func ParseEndpoint(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxEndpoint {
		return nil, fmt.Errorf("endpoint has %d bytes, the limit is %d", len(text), maxEndpoint)
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("endpoint is neither a URL nor a DNS name")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.Trim(u.Hostname(), ".") == "" || !plainHost(u.Hostname()) {
		return nil, fmt.Errorf("endpoint %q: want an https or http URL without a user, or a DNS name", text)
	}
	return u, nil
}

// plainHost keeps text that would break a configuration file out of it.
func plainHost(host string) bool {
	return strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-_:") == ""
}

// age spreads the files' dates over the half year before Date, so that they do
// not look planted in one go.
func (o Options) age(kind string) time.Time {
	date := o.Date
	if date.IsZero() {
		date = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	raw := o.Master.Derive("token age", 4, o.BuildID, kind)
	const halfYear = 180 * 24 * 3600
	seconds := (int64(raw[0])<<24 | int64(raw[1])<<16 | int64(raw[2])<<8 | int64(raw[3])) % halfYear
	return date.Add(-time.Duration(seconds) * time.Second).UTC()
}
