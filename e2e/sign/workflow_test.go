//go:build e2e && e2epolicy

package sign_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/policy"
	"github.com/hardstand/hardstand/sign/registry"
)

// workflow is what a runner reads of the generated job.
type workflow struct {
	Jobs map[string]struct {
		Outputs map[string]string `yaml:"outputs"`
		Steps   []struct {
			ID  string            `yaml:"id"`
			Env map[string]string `yaml:"env"`
			Run string            `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// TestPoliciesAsWorkflow has actionlint read the generated job, and the shell
// of its steps run as a runner does.
func TestPoliciesAsWorkflow(t *testing.T) {
	bin := tools(t, "actionlint")
	programs := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(programs, "hardstand"), "../../cmd/hardstand-sign")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build hardstand: %v\n%s", err, out)
	}
	signer := newSigner(t)
	w := &world{t: t, addr: startDockerRegistry(t), signer: signer, stranger: newSigner(t)}
	attested := parseTag(t, w.addr+"/team/attested:1.0")
	published := publish(t, attested, signer, newIndex(t))
	bare := parseTag(t, w.addr+"/team/bare:1.0")
	_, err := registry.Publish(context.Background(), registry.PublishOptions{Index: newIndex(t), Tag: bare, Signer: signer})
	w.must(err)
	plain := policy.Options{Keys: []sign.Key{signer.Key()}}
	demanding := policy.Options{Keys: plain.Keys, Attestations: []string{sign.PredicateSPDX}}

	run := func(ref name.Reference, o policy.Options) (string, bool) {
		o.Repository = ref.Context().Name()
		files, err := policy.Generate(policy.GitHub, o)
		w.must(err)
		lint(t, filepath.Join(bin, "actionlint"), files[0].Data)
		return runJob(t, programs, files[0].Data, ref)
	}
	if out, ok := run(attested, demanding); !ok || out != "image="+attested.Repository.Digest(published.Digest.String()).Name()+"\n" {
		t.Errorf("published: %v, outputs %q", ok, out)
	}
	if out, ok := run(bare, demanding); ok {
		t.Errorf("not attested: accepted, outputs %q", out)
	}
	for _, kind := range slices.Sorted(maps.Keys(refusals)) {
		if out, ok := run(refusals[kind].stage(w), plain); ok || out != "" {
			t.Errorf("%s: accepted, outputs %q", kind, out)
		}
	}
}

func lint(t *testing.T, actionlint string, jobs []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "workflow.yaml")
	if err := os.WriteFile(file, append([]byte("on: push\n"), jobs...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(actionlint, "-no-color", file).CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

// runJob runs the steps of the only job for an image, and returns what they hand
// on.
func runJob(t *testing.T, programs string, jobs []byte, ref name.Reference) (outputs string, ok bool) {
	t.Helper()
	var w workflow
	if err := yaml.NewDecoder(bytes.NewReader(jobs)).Decode(&w); err != nil {
		t.Fatal(err)
	}
	job := w.Jobs["verify-image"]
	if len(w.Jobs) != 1 || len(job.Steps) != 1 || job.Outputs["image"] != "${{ steps."+job.Steps[0].ID+".outputs.image }}" {
		t.Fatalf("another job than expected:\n%s", jobs)
	}
	temp := t.TempDir()
	handed := filepath.Join(temp, "outputs")
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", job.Steps[0].Run)
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+handed, "HOME="+temp)
	for k, v := range job.Steps[0].Env {
		if k == "IMAGE" {
			if !strings.HasSuffix(v, ":TAG") {
				t.Fatalf("IMAGE is %q: no place for the tag", v)
			}
			v = ref.Name()
		}
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("the steps did not decide: %v\n%s", err, out)
	}
	data, readErr := os.ReadFile(handed)
	if err == nil && readErr != nil {
		t.Fatal(readErr)
	}
	return string(data), err == nil
}
