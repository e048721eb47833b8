// Package workload judges how containers are run: Kubernetes manifests,
// Compose files, ECS task definitions, docker inspect and docker run lines.
//
// Each format is read into the same container; the rules know that one only.
// A setting that a format does not have is not applicable, with the reason,
// and one that hangs on a variable nobody gave is unknown. It reads what it is
// given: no cluster, no daemon, no environment.
package workload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload/compose"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 4 << 20

// maxContainers bounds the containers of one file: each has a finding of every
// rule.
const maxContainers = 3000

// Input is one file.
type Input struct {
	Name string
	Kind audit.Kind // Kubernetes, Compose, ECS, Docker, or Export for policy.json
	Data []byte
}

// Options say what is known besides the file.
type Options struct {
	// Verify checks the signature of an image by digest and returns what was
	// verified. Nil: signatures are unknown.
	Verify func(ctx context.Context, reference string) (string, error)
	// Env are the variables that Compose puts in place.
	Env map[string]string
	// Compose reads Compose files: composefile.Read, or what asks it. Nil:
	// they cannot be judged.
	Compose compose.Reader
}

// Result is what Audit found.
type Result struct {
	Artifact   audit.Artifact
	Findings   []audit.Finding
	Notes      []string
	Containers int
}

// field is one setting and where it stands. at is a JSON pointer; where the
// setting is absent it is the place it belongs in.
type field struct {
	value string
	set   bool
	at    string
}

// open reports whether the value hangs on a variable.
func (f field) open() bool { return strings.Contains(f.value, "${") || strings.Contains(f.value, "{{") }

// container is what every format says about one container.
type container struct {
	doc  *document
	name string // as a person finds it: Deployment web, container app
	role role
	at   string // pointer of the container itself

	image      field
	user       field // UID or UID:GID
	nonRoot    bool  // runAsNonRoot
	readOnly   field
	privileged field
	escalation field // "false": no new privileges
	dropAll    field
	added      []field
	seccomp    field
	host       []field // namespaces shared with the host; value says which
	memory     field
	cpu        field
	processes  field // pids or, on Kubernetes, ephemeral-storage
	mounts     []mount
	env        []variable
	probes     []probe
	token      field // automountServiceAccountToken
	roles      field // ECS: "same" where the task's role is the execution role

	partial string // what else would have to be read, or ""

	na map[string]string // step and letter, such as "3.3t", to the reason
}

type role string

const (
	main      role = "container"
	initial   role = "init container"
	ephemeral role = "ephemeral container"
	batch     role = "container of a job"
)

type mount struct {
	kind     string // tmpfs, bind, volume, nfs
	source   string
	target   string
	readOnly bool
	options  string // of a tmpfs, comma-separated
	bounded  bool   // it has a size
	fixed    bool   // the platform decides about options
	at       string
}

type variable struct {
	name, value string
	reference   string // "secretKeyRef" and the like where the value comes from elsewhere
	at          string
}

type probe struct {
	name string
	argv []string
	form string // exec, shell, network, none
	at   string
}

// rule is a description with its check. A rule has each, which judges one
// container, or whole, which judges the file.
type rule struct {
	audit.Rule
	each  func(*check, *container)
	whole func(*check)
}

type check struct {
	*file
	ctx      context.Context
	opts     Options
	rule     audit.Rule
	findings []audit.Finding
	method   string
}

// file is what was read.
type file struct {
	artifact   audit.Artifact
	docs       []*document
	containers []*container
	pods       []*pod
	notes      []string
}

func rules() []rule {
	return []rule{
		rule22q, rule22r, rule25q, rule26q, rule31q, rule31r, rule31s, rule32q, rule33q, rule33r, rule33s, rule33t, rule33u, rule33v,
		rule34q, rule34r, rule35q, rule35r, rule35s, rule35t, rule42q,
	}
}

// Rules describes the rules of the package.
func Rules() []audit.Rule {
	var list []audit.Rule
	for _, r := range rules() {
		list = append(list, r.Rule)
	}
	return list
}

// Audit judges one file. The error says that it could not be judged at all;
// where that is not the file's fault, every rule is unknown in the result.
func Audit(ctx context.Context, in Input, o Options) (Result, error) {
	if len(in.Data) > MaxSize {
		return Result{}, fmt.Errorf("%s has more than %d bytes", in.Name, MaxSize)
	}
	f := &file{artifact: audit.Artifact{Kind: in.Kind, Name: in.Name}}
	sum := sha256.Sum256(in.Data)
	f.artifact.SHA256 = hex.EncodeToString(sum[:])
	if err := f.read(ctx, in, o); err != nil {
		var nobody *compose.UnavailableError
		if errors.As(err, &nobody) {
			return f.unread(nobody), fmt.Errorf("read %s: %w", in.Name, err)
		}
		return Result{}, fmt.Errorf("read %s: %w", in.Name, orTemplate(in.Data, err))
	}
	if len(f.containers) > maxContainers {
		return Result{}, fmt.Errorf("read %s: more than %d containers; audit it in parts", in.Name, maxContainers)
	}
	res := Result{Artifact: f.artifact, Notes: f.notes, Containers: len(f.containers)}
	for _, r := range rules() {
		c := &check{file: f, ctx: ctx, opts: o, rule: r.Rule, method: "settings of every container, as the platform applies them"}
		if !has(r.Kinds, in.Kind) {
			continue
		}
		if r.whole != nil {
			r.whole(c)
		}
		for _, k := range f.containers {
			if r.each == nil {
				break
			}
			if reason := k.na[strings.TrimPrefix(r.ID, "CHG-")]; reason != "" {
				c.add(k, k.at, audit.Finding{Verdict: audit.NotApplicable, Reason: reason})
				continue
			}
			r.each(c, k)
		}
		res.Findings = append(res.Findings, c.findings...)
	}
	audit.SortFindings(res.Findings)
	return res, nil
}

// ErrTemplate says that a file is the source of a manifest and not yet one.
var ErrTemplate = errors.New("it is a template: audit what it renders to, for example the output of helm template or kustomize build")

// orTemplate adds to the error of a parser what it cannot know.
func orTemplate(data []byte, err error) error {
	if bytes.Contains(data, []byte("{{")) && bytes.Contains(data, []byte("}}")) {
		return fmt.Errorf("%w (%w)", ErrTemplate, err)
	}
	return err
}

// unread answers every rule for a file that nobody could read.
func (f *file) unread(why error) Result {
	res := Result{Artifact: f.artifact}
	for _, r := range rules() {
		if has(r.Kinds, f.artifact.Kind) {
			res.Findings = append(res.Findings, audit.Finding{
				Rule: r.ID, Verdict: audit.Unknown, Artifact: f.artifact, Locator: audit.Locator{Path: f.artifact.Name},
				Needs: "somebody who reads such files: " + shorten(why.Error()),
			})
		}
	}
	return res
}

func has(kinds []audit.Kind, k audit.Kind) bool {
	for _, x := range kinds {
		if x == k {
			return true
		}
	}
	return false
}

func (f *file) read(ctx context.Context, in Input, o Options) error {
	if strings.HasPrefix(strings.TrimSpace(string(in.Data[:min(len(in.Data), 64)])), "docker ") && in.Kind == audit.Docker {
		return f.runLine(in)
	}
	var err error
	if f.docs, err = parse(in.Data, in.Kind == audit.Kubernetes); err != nil {
		return err
	}
	switch in.Kind {
	case audit.Kubernetes:
		return f.kubernetes()
	case audit.Compose:
		return f.compose(ctx, in, o)
	case audit.ECS:
		return f.ecs()
	case audit.Docker:
		return f.inspect()
	case audit.Export:
		return nil
	}
	return fmt.Errorf("%s says nothing about running containers", in.Kind.Label())
}

// add records a finding at a place of the container's document.
func (c *check) add(k *container, at string, f audit.Finding) {
	f.Rule, f.Artifact = c.rule.ID, c.artifact
	if f.Method == "" {
		f.Method = c.method
	}
	if k != nil && k.partial != "" && f.Verdict == audit.Pass {
		f.Verdict, f.Needs = audit.Unknown, k.partial
	}
	if k != nil {
		f.Locator = k.doc.locate(c.artifact.Name, at)
		if f.Observed != "" {
			f.Observed = k.name + ": " + f.Observed
		} else {
			f.Observed = k.name
		}
	}
	if f.Locator.Path == "" {
		f.Locator.Path = c.artifact.Name
	}
	c.findings = append(c.findings, f)
}

func (c *check) pass(k *container, at, observed string) {
	c.add(k, at, audit.Finding{Verdict: audit.Pass, Observed: observed})
}

func (c *check) fail(k *container, at, observed, expected string) {
	c.add(k, at, audit.Finding{Verdict: audit.Fail, Observed: observed, Expected: expected})
}

func (c *check) warn(k *container, at, observed, expected string) {
	c.add(k, at, audit.Finding{Verdict: audit.Warn, Observed: observed, Expected: expected})
}

func (c *check) unknown(k *container, at, needs string) {
	c.add(k, at, audit.Finding{Verdict: audit.Unknown, Needs: needs})
}

// want judges a setting that must have one value.
func (c *check) want(k *container, f field, value, expected string) {
	switch {
	case f.open():
		c.unknown(k, f.at, "the value of the variables in "+shorten(f.value))
	case f.set && f.value == value:
		c.pass(k, f.at, expected)
	case f.set:
		c.fail(k, f.at, "it is "+shorten(f.value), expected)
	default:
		c.fail(k, f.at, "it is not set", expected)
	}
}

const maxShown = 200

func shorten(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD")
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}
