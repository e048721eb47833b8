package runtime

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"
)

// The tests below read what is written with the libraries of those who read
// it in the end.

func TestKubernetesDecodesStrictlyAndIsAllowed(t *testing.T) {
	data, err := Kubernetes(profile())
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if faults, err := kjson.UnmarshalStrict(text, &d); err != nil || len(faults) > 0 {
		t.Fatalf("%v %v", err, faults)
	}
	eval, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template
	results := eval.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
	if len(results) < 10 {
		t.Errorf("only %d checks ran", len(results))
	}
	for _, r := range results {
		if !r.Allowed {
			t.Errorf("%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
	if l := pod.Spec.Containers[0].Resources.Limits; l.Memory().Value() != 128<<20 || l.Cpu().MilliValue() != 500 {
		t.Errorf("limits %v", l)
	}
}

func TestComposeLoads(t *testing.T) {
	p := profile()
	data, err := Compose(p)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: t.TempDir(), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: data}}, Environment: types.Mapping{"PORT": "wrong"},
	}, func(o *loader.Options) { o.SetProjectName("test", true) })
	if err != nil {
		t.Fatal(err)
	}
	s := project.Services["web"]
	if !s.ReadOnly || s.User != "65532:65532" || int64(s.MemLimit) != 128<<20 || s.CPUS != 0.5 || s.PidsLimit != 64 || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("%+v", s)
	}
	// A variable is the probe's to expand, not Compose's.
	if diff := cmp.Diff(append([]string{"CMD"}, p.Check...), []string(s.HealthCheck.Test)); diff != "" {
		t.Error(diff)
	}
}

func TestECSDecodesStrictly(t *testing.T) {
	data, err := ECS(profile())
	if err != nil {
		t.Fatal(err)
	}
	var in ecs.RegisterTaskDefinitionInput
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		t.Fatal(err)
	}
	c := in.ContainerDefinitions[0]
	if !*c.ReadonlyRootFilesystem || *c.User != "65532:65532" || c.LinuxParameters.Capabilities.Drop[0] != "ALL" {
		t.Errorf("%+v", c)
	}
	if c.DockerSecurityOptions != nil || c.LinuxParameters.Tmpfs != nil || c.Privileged != nil {
		t.Error("Fargate refuses security options, tmpfs and privileged")
	}
}

func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu, memory int
		units, size string
	}{
		{250, 128, "256", "512"}, {500, 128, "512", "1024"}, {250, 513, "256", "1024"}, {250, 3072, "512", "3072"}, {600, 128, "1024", "2048"},
		{4000, 9 << 10, "4096", "9216"}, {8000, 17 << 10, "8192", "20480"}, {16000, 33 << 10, "16384", "40960"},
	} {
		p := profile()
		p.MilliCPU, p.MemoryMiB = c.cpu, c.memory
		data, err := ECS(p)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ CPU, Memory string }
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.CPU != c.units || got.Memory != c.size {
			t.Errorf("%d, %d: %+v, want %s, %s", c.cpu, c.memory, got, c.units, c.size)
		}
	}
	p := profile()
	p.MemoryMiB = 200 << 10
	if _, err := ECS(p); err == nil {
		t.Error("200 GiB fit on Fargate")
	}
}

func TestFormatTrace(t *testing.T) {
	for goarch, calls := range map[string][]int{"amd64": {1, 0, 1023}, "arm64": {64, 63, 1023}} {
		data, err := FormatTrace(goarch, calls)
		if err != nil {
			t.Fatal(err)
		}
		names, err := Observe(bytes.NewReader(data), "")
		if err != nil || strings.Join(names, " ") != "read write" {
			t.Errorf("%s: %v %v", goarch, names, err)
		}
	}
	if _, err := FormatTrace("mips", []int{1}); err == nil {
		t.Error("mips has names")
	}
}
