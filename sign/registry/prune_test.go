package registry

import (
	"context"
	"errors"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/sign"
)

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	for kind, options := range map[string]ServeOptions{"referrers-api": {}, "referrers-tag": {NoReferrers: true}} {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			tag := serve(t, NewHandler(options))
			images := map[string]v1.ImageIndex{}
			for _, name := range []string{"1.0", "1.1", "1.2", "1.3"} {
				images[name] = newIndex(t, false)
				mustPublish(t, publication1(t, tag.Tag(name), images[name]))
			}
			o := publication1(t, tag.Tag("same-as-1.3"), images["1.3"])
			mustPublish(t, o)
			running := digestOf(t, images["1.1"])
			p := PruneOptions{Repository: tag.Repository, KeepTags: []string{"1.3"}, Running: []v1.Hash{running}, Remote: quick()}
			plan, err := PlanPrune(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			var untag []string
			for _, u := range plan.Untag {
				untag = append(untag, u.Tag)
			}
			if !slices.Equal(untag, []string{"1.0", "1.1", "1.2", "same-as-1.3"}) {
				t.Errorf("untag %v", untag)
			}
			for _, kept := range []string{"1.1", "1.3"} {
				if !slices.Contains(plan.Kept, digestOf(t, images[kept])) || slices.Contains(plan.Delete, digestOf(t, images[kept])) {
					t.Errorf("%s is not kept", kept)
				}
			}
			// Two indexes with two platforms each, and per manifest a signature's
			// bundle and an attestation's.
			if want := 2 * 3 * 3; len(plan.Delete) != want {
				t.Errorf("deletes %d manifests, want %d", len(plan.Delete), want)
			}
			if tagNames(t, tag) == "" {
				t.Error("planning deleted something")
			}
			if err := Prune(ctx, p, plan); err != nil {
				t.Fatal(err)
			}
			for _, kept := range []string{"1.1", "1.3"} {
				ref := tag.Digest(digestOf(t, images[kept]).String())
				if report, err := Verify(ctx, ref, quick(), policy()); err != nil {
					t.Errorf("%s no longer verifies: %v\n%s", kept, err, asJSON(t, report))
				}
			}
			if got := tagNames(t, tag.Tag("1.2")); got != "" {
				t.Errorf("1.2 still names %s", got)
			}
			_, err = openTag(t, tag).Manifest(ctx, digestOf(t, images["1.2"]))
			if !errors.Is(err, sign.ErrNotFound) {
				t.Errorf("the image of 1.2 is still there: %v", err)
			}
			again, err := PlanPrune(ctx, p)
			if err != nil || !again.Empty() {
				t.Errorf("a second plan: %+v, %v", again, err)
			}
		})
	}
}

func TestPruneRefuses(t *testing.T) {
	ctx := context.Background()
	tag := serve(t, NewHandler(ServeOptions{}))
	for _, name := range []string{"1.0", "1.1"} {
		mustPublish(t, publication1(t, tag.Tag(name), newIndex(t, false)))
	}
	p := PruneOptions{Repository: tag.Repository, Remote: quick()}
	if _, err := PlanPrune(ctx, p); err == nil {
		t.Error("planned to keep nothing")
	}
	p.KeepTags = []string{"1.O"}
	if _, err := PlanPrune(ctx, p); err == nil {
		t.Error("a mistyped tag to keep was accepted")
	}
	p.KeepTags = []string{"1.0"}
	plan, err := PlanPrune(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	mustPublish(t, publication1(t, tag.Tag("1.2"), newIndex(t, false)))
	if err := Prune(ctx, p, plan); !errors.Is(err, ErrPlanOutdated) {
		t.Errorf("an outdated plan: %v", err)
	}
	if tagNames(t, tag.Tag("1.1")) == "" {
		t.Error("an outdated plan deleted a tag")
	}
}
