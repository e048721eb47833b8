// Package policy writes the configuration with which clusters and container
// engines refuse images that hardstand's publisher did not sign: unsigned ones,
// ones signed by somebody else, and ones that only carry attestations.
//
// It generates text. It contacts nothing and evaluates nothing; what each tool
// makes of a policy is the tool's, and docs/sign.md says which of them were
// tried.
package policy

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/hardstand/hardstand/sign"
)

// Format names a tool to write a policy for.
type Format string

// The formats.
const (
	Kyverno     Format = "kyverno"     // ClusterPolicy and ImageValidatingPolicy
	Sigstore    Format = "sigstore"    // sigstore policy-controller, ClusterImagePolicy
	Ratify      Format = "ratify"      // Gatekeeper with Ratify
	Connaisseur Format = "connaisseur" // Helm values
	Containers  Format = "containers"  // podman, CRI-O, skopeo: policy.json and registries.d
	GitHub      Format = "github"      // a workflow job
)

// Formats lists every format.
func Formats() []Format {
	return []Format{Kyverno, Sigstore, Ratify, Connaisseur, Containers, GitHub}
}

// Options says whose images of which repository may run.
type Options struct {
	// Repository is REGISTRY/REPOSITORY, as consumers write it.
	Repository string
	// SignedAs is the repository that signatures state, if it is another one:
	// consumers pull from a replica.
	SignedAs string
	// Keys and Identities are accepted, any one of them.
	Keys       []sign.Key
	Identities []sign.Identity
	// PrivateTrust says that the identities are those of a private sigstore
	// instance.
	PrivateTrust bool
	// Attestations lists predicate types that must be attached and signed, for
	// the tools that can check them.
	Attestations []string
	// Name names the policy objects; empty makes one from the repository.
	Name string
}

// File is one file of a policy.
type File struct {
	Name string // where the tool looks for it, if that is fixed
	Data []byte
}

// Generate writes the policy. What a tool cannot express is an error: a policy
// that checks less than it was asked for would be believed.
func Generate(format Format, o Options) ([]File, error) {
	o, err := complete(o)
	if err != nil {
		return nil, fmt.Errorf("generate %s policy: %w", format, err)
	}
	files, err := generate(format, o)
	if err != nil {
		return nil, fmt.Errorf("generate %s policy: %w", format, err)
	}
	return files, nil
}

func generate(format Format, o Options) ([]File, error) {
	if err := expressible(format, o); err != nil {
		return nil, err
	}
	switch format {
	case Kyverno:
		return render(o, "kyverno.yaml")
	case Sigstore:
		return render(o, "sigstore.yaml")
	case Ratify:
		return render(o, "ratify.yaml")
	case Connaisseur:
		return render(o, "connaisseur.yaml")
	case GitHub:
		return render(o, "github.yaml")
	case Containers:
		return containers(o)
	}
	return nil, fmt.Errorf("unknown format, want one of %v", Formats())
}

// expressible knows what each tool can check.
func expressible(format Format, o Options) error {
	switch format {
	case Ratify, Connaisseur, Containers:
		if len(o.Identities) > 0 {
			return errors.New("it cannot check the identities of bundles: use a key")
		}
		if len(o.Attestations) > 0 {
			return errors.New("it cannot check attestations")
		}
	case GitHub:
		if len(o.Identities) > 1 {
			return errors.New("one identity is the most that a step can name")
		}
	case Kyverno:
		if o.PrivateTrust {
			return errors.New("identities of a private sigstore instance are not supported: use a key")
		}
	}
	for _, id := range o.Identities {
		if id.Issuer == "" {
			return errors.New("issuer expressions cannot be expressed: name the issuer")
		}
		if id.Repository+id.Ref+id.Workflow+id.Trigger+id.SHA != "" && format != Containers {
			return errors.New("GitHub's certificate extensions cannot be expressed: put repository and ref into the subject")
		}
	}
	return nil
}

var (
	dnsLabel      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)
	notInLabel    = regexp.MustCompile(`[^a-z0-9]+`)
	predicateType = regexp.MustCompile(`^https://[!-~]{1,240}$`)
)

func complete(o Options) (Options, error) {
	if o.SignedAs == "" {
		o.SignedAs = o.Repository
	}
	for _, r := range []string{o.Repository, o.SignedAs} {
		if _, err := name.NewRepository(r, name.StrictValidation); err != nil {
			return o, err
		}
	}
	if len(o.Keys)+len(o.Identities) == 0 {
		return o, errors.New("a key or an identity is needed: whose images may run?")
	}
	for _, t := range o.Attestations {
		if !predicateType.MatchString(t) {
			return o, fmt.Errorf("attestation %q is not a predicate type URI", t)
		}
	}
	for _, id := range o.Identities {
		text := id.Subject + id.SubjectRegexp + id.Issuer
		if strings.ContainsAny(text, "\n\r\x00") || strings.Contains(text, "${{") {
			return o, errors.New("an identity contains control characters or a workflow expression")
		}
		if (id.Subject == "") == (id.SubjectRegexp == "") {
			return o, errors.New("an identity needs a subject or a subject expression, not both")
		}
	}
	if o.Name == "" {
		label := strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(o.Repository[strings.LastIndex(o.Repository, "/")+1:]), "-"), "-")
		o.Name = "hardstand-" + label[:min(len(label), 24)]
		o.Name = strings.TrimRight(o.Name, "-")
	}
	if !dnsLabel.MatchString(o.Name) {
		return o, fmt.Errorf("name %q is not a DNS label of at most 40 characters", o.Name)
	}
	return o, nil
}

//go:embed templates/*.tmpl
var templates embed.FS

var parsed = template.Must(template.New("").Funcs(template.FuncMap{
	"quote":  quote,
	"indent": indent,
	"shell":  shell,
	"whole":  func(e string) string { return "^(?:" + e + ")$" },
	"list":   func(v ...any) []any { return v },
}).ParseFS(templates, "templates/*.tmpl"))

// view is what templates see.
type view struct {
	Options
	Keys       []string // PEM
	Signature  string
	Containers []string
}

func render(o Options, file string) ([]File, error) {
	v := view{Options: o, Signature: sign.PredicateSignature,
		Containers: []string{"containers", "initContainers", "ephemeralContainers"}}
	for _, k := range o.Keys {
		v.Keys = append(v.Keys, strings.TrimSpace(string(k.PEM)))
	}
	var out strings.Builder
	if err := parsed.ExecuteTemplate(&out, file+".tmpl", v); err != nil {
		return nil, err
	}
	return []File{{Name: v.Name + "-" + file, Data: []byte(out.String())}}, nil
}

// AnySigner writes a CEL expression that is true if check, with the name of an
// attestor put in for its %s, counts a signature of one of them.
func (v view) AnySigner(check string) string {
	n := len(v.Keys)
	if len(v.Identities) > 0 {
		n++
	}
	var terms []string
	for i := range n {
		terms = append(terms, fmt.Sprintf(check, fmt.Sprintf("signer%d", i))+" > 0")
	}
	return strings.Join(terms, " || ")
}

// quote writes a YAML double-quoted scalar; JSON strings are a subset of them.
func quote(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

// shell writes a word for a POSIX shell.
func shell(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// requirement is one entry of containers-policy.json(5).
type requirement struct {
	Type           string          `json:"type"`
	KeyData        string          `json:"keyData,omitempty"`
	KeyDatas       []string        `json:"keyDatas,omitempty"`
	SignedIdentity *signedIdentity `json:"signedIdentity,omitempty"`
}

type signedIdentity struct {
	Type         string `json:"type"`
	Prefix       string `json:"prefix,omitempty"`
	SignedPrefix string `json:"signedPrefix,omitempty"`
}

// containers writes policy.json, which refuses every other image, and the
// registries.d entry without which signatures are not looked for.
func containers(o Options) ([]File, error) {
	r := requirement{Type: "sigstoreSigned", SignedIdentity: &signedIdentity{Type: "matchRepository"}}
	if o.SignedAs != o.Repository {
		r.SignedIdentity = &signedIdentity{Type: "remapIdentity", Prefix: o.Repository, SignedPrefix: o.SignedAs}
	}
	var keys []string
	for _, k := range o.Keys {
		keys = append(keys, base64.StdEncoding.EncodeToString(k.PEM))
	}
	if len(keys) == 1 {
		r.KeyData = keys[0]
	} else {
		r.KeyDatas = slices.Clone(keys)
	}
	policy, err := json.MarshalIndent(map[string]any{
		"default":    []requirement{{Type: "reject"}},
		"transports": map[string]any{"docker": map[string]any{o.Repository: []requirement{r}}},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	lookaside := fmt.Sprintf("# Look for signatures that are stored beside the images.\ndocker:\n  %q:\n    use-sigstore-attachments: true\n", o.Repository)
	return []File{
		{Name: "/etc/containers/policy.json", Data: append(policy, '\n')},
		{Name: "/etc/containers/registries.d/" + o.Name + ".yaml", Data: []byte(lookaside)},
	}, nil
}
