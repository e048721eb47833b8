//go:build e2e

package sign_test

import (
	"context"
	"testing"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

// TestPrune runs against registries that differ in what they let delete.
func TestPrune(t *testing.T) {
	signer := newSigner(t)
	for kind, addr := range registries(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			tag := parseTag(t, addr+"/prune/app:1.0")
			publish(t, tag, signer, newIndex(t))
			kept := tag.Tag("1.1")
			publish(t, kept, signer, newIndex(t))
			o := registry.PruneOptions{Repository: tag.Repository, KeepTags: []string{"1.1"}}
			plan, err := registry.PlanPrune(ctx, o)
			if err != nil || plan.Empty() {
				t.Fatalf("plan %+v, %v", plan, err)
			}
			if err := registry.Prune(ctx, o, plan); err != nil {
				t.Fatal(err)
			}
			policy := sign.VerifyOptions{Keys: []sign.Key{signer.Key()}, Platforms: true, Layers: true,
				Forms: []sign.Form{sign.FormLegacy, sign.FormBundle}}
			if _, err := registry.Verify(ctx, kept, registry.Remote{}, policy); err != nil {
				t.Errorf("the kept image: %v", err)
			}
			if _, err := registry.Verify(ctx, tag, registry.Remote{}, policy); err == nil {
				t.Error("the pruned image is still there")
			}
			again, err := registry.PlanPrune(ctx, o)
			if err != nil || !again.Empty() {
				t.Errorf("a second plan: %+v, %v", again, err)
			}
		})
	}
}

// TestReplicate copies between registries with and without the referrers API.
func TestReplicate(t *testing.T) {
	signer := newSigner(t)
	addrs := registries(t)
	c := newCosign(t, signer.Key().PEM)
	for from, source := range addrs {
		for to, target := range addrs {
			if from == to {
				continue
			}
			t.Run(from+"-to-"+to, func(t *testing.T) {
				c := &cosign{t: t, bin: c.bin, dir: c.dir}
				tag := parseTag(t, source+"/from/"+to+":1.0")
				publish(t, tag, signer, newIndex(t))
				o := registry.ReplicateOptions{Source: tag, Verify: sign.VerifyOptions{Keys: []sign.Key{signer.Key()}, Platforms: true}}
				o.Targets = append(o.Targets, parseTag(t, target+"/to/"+from+":1.0"))
				if _, err := registry.Replicate(context.Background(), o); err != nil {
					t.Fatal(err)
				}
				for _, form := range []string{"--new-bundle-format=true", "--new-bundle-format=false"} {
					c.accepts("verify", form, o.Targets[0].Name())
					c.accepts("verify-attestation", form, "--type=spdxjson", o.Targets[0].Name())
				}
			})
		}
	}
}
