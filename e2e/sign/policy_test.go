//go:build e2e && e2epolicy

package sign_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/policy"
	"github.com/hardstand/hardstand/sign/registry"
)

// engine is a program that decides by a generated policy.
type engine struct {
	name   string
	format policy.Format
	// attests is set for what can demand attestations.
	attests bool
	// args makes the arguments from the policy's directory and an image.
	args func(t *testing.T, dir, image string) []string
	// refuses reports whether output and exit code of the program say no, as
	// opposed to not having decided.
	refuses func(output string, code int) bool
}

var engines = []engine{
	{name: "policy-controller", format: policy.Sigstore, attests: true,
		args: func(t *testing.T, dir, image string) []string {
			return []string{"policy-tester", "--image", image, "--policy", keepDocuments(t, dir, "ClusterImagePolicy")}
		},
		refuses: func(out string, code int) bool { return code == 1 && strings.Contains(out, `{"errors":[`) }},
	{name: "kyverno-ClusterPolicy", format: policy.Kyverno, attests: true,
		args:    kyverno("ClusterPolicy"),
		refuses: kyvernoRefuses},
	{name: "kyverno-ImageValidatingPolicy", format: policy.Kyverno, attests: true,
		args:    kyverno("ImageValidatingPolicy"),
		refuses: kyvernoRefuses},
	{name: "containers-image", format: policy.Containers,
		args: func(_ *testing.T, dir, image string) []string {
			etc := filepath.Join(dir, "etc/containers")
			return []string{"containers", filepath.Join(etc, "policy.json"), filepath.Join(etc, "registries.d"), image}
		},
		refuses: func(out string, code int) bool {
			return code == 1 && (strings.Contains(out, "ignature")) // "A signature was required", "Signature for digest"
		}},
}

func kyverno(kind string) func(*testing.T, string, string) []string {
	return func(t *testing.T, dir, image string) []string {
		policies := keepDocuments(t, dir, kind)
		pod := filepath.Join(dir, "pod.yaml")
		text := "apiVersion: v1\nkind: Pod\nmetadata: {name: app, namespace: default}\nspec:\n  containers:\n    - {name: app, image: \"" + image + "\"}\n"
		if err := os.WriteFile(pod, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"kyverno", "apply", policies, "--resource", pod, "--registry", "--remove-color"}
	}
}

func kyvernoRefuses(out string, code int) bool {
	return code == 1 && strings.Contains(out, " failed:") && strings.Contains(out, "error: 0")
}

// keepDocuments writes those documents of a policy that have the kind.
func keepDocuments(t *testing.T, dir, kind string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("want one file of policies, have %v, %v", files, err)
	}
	all, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, doc := range strings.Split(string(all), "\n---\n") {
		if strings.Contains(doc, "kind: "+kind+"\n") {
			kept = append(kept, doc)
		}
	}
	if len(kept) == 0 {
		t.Fatalf("the policy has no %s", kind)
	}
	file := filepath.Join(dir, kind+".yaml")
	if err := os.WriteFile(file, []byte(strings.Join(kept, "\n---\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// accepts asks the engine about an image, by a policy for its repository.
func (e engine) accepts(t *testing.T, bin string, ref name.Reference, digest string, o policy.Options) (bool, string) {
	t.Helper()
	dir := t.TempDir()
	o.Repository = ref.Context().Name()
	files, err := policy.Generate(e.format, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := e.args(t, dir, ref.Context().Digest(digest).Name())
	cmd := exec.Command(filepath.Join(bin, args[0]), args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && !e.refuses(string(out), cmd.ProcessState.ExitCode()) {
		t.Fatalf("%s did not decide: %v\n%s", e.name, err, out)
	}
	return err == nil, string(out)
}

// TestPolicies lets the real admission engines decide by the policies that are
// generated: what is published runs, and no attack on it does.
func TestPolicies(t *testing.T) {
	bin := tools(t, "policy-tester", "kyverno", "containers")
	signer := newSigner(t)
	w := &world{t: t, addr: startDockerRegistry(t), signer: signer, stranger: newSigner(t)}
	digestOf := func(ref name.Reference) string {
		repo, err := registry.Open(context.Background(), ref.Context(), registry.Remote{})
		w.must(err)
		d, err := repo.Digest(context.Background(), ref)
		w.must(err)
		return d.String()
	}
	attested := parseTag(t, w.addr+"/team/attested:1.0")
	publish(t, attested, signer, newIndex(t))
	bare := parseTag(t, w.addr+"/team/bare:1.0")
	_, err := registry.Publish(context.Background(), registry.PublishOptions{Index: newIndex(t), Tag: bare, Signer: signer})
	w.must(err)
	plain := policy.Options{Keys: []sign.Key{signer.Key()}}
	demanding := policy.Options{Keys: plain.Keys, Attestations: []string{sign.PredicateSPDX}}

	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w.t = t
			expect := func(what string, ref name.Reference, o policy.Options, want bool) {
				t.Helper()
				got, out := e.accepts(t, bin, ref, digestOf(ref), o)
				if got != want {
					t.Errorf("%s: accepted %v, want %v\n%s", what, got, want, out)
				}
			}
			expect("published", attested, plain, true)
			expect("published without attestations", bare, plain, true)
			if e.attests {
				expect("attested", attested, demanding, true)
				expect("not attested", bare, demanding, false)
			}
			for name, attack := range refusals {
				expect(name, attack.stage(w), plain, false)
			}
		})
	}
}
