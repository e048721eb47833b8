package registry

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/hardstand/hardstand/sign"
)

func replicate(source name.Reference, targets ...name.Tag) ReplicateOptions {
	return ReplicateOptions{Source: source, Targets: targets, Verify: policy(), Remote: quick()}
}

func states(list []Replica) []ReplicaState {
	var s []ReplicaState
	for _, r := range list {
		s = append(s, r.State)
	}
	return s
}

func TestReplicate(t *testing.T) {
	for kind, options := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			source, target := serve(t, NewHandler(ServeOptions{})), serve(t, NewHandler(options))
			index := newIndex(t, true)
			mustPublish(t, publication1(t, source, index))
			sibling := source.Repository.Registry.Repo("mirror", "app").Tag("1.0")
			o := replicate(source, target, sibling)
			list, err := Replicate(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := states(list); got[0] != ReplicaCopied || got[1] != ReplicaCopied {
				t.Errorf("states %v", got)
			}
			if got := tagNames(t, target); got != digestOf(t, index).String() {
				t.Errorf("target's tag names %s", got)
			}
			report, err := Verify(context.Background(), target, quick(), policy())
			if err != nil || len(report.Rejected) > 0 {
				t.Errorf("target: %v\n%s", err, asJSON(t, report))
			}
			for _, look := range []func(context.Context, ReplicateOptions) ([]Replica, error){Replicate, ReplicaStatus} {
				list, err = look(context.Background(), o)
				if got := states(list); err != nil || got[0] != ReplicaPresent || got[1] != ReplicaPresent {
					t.Errorf("again: %v %v", got, err)
				}
			}
		})
	}
}

// What does not verify stays where it is: neither an unsigned image nor a
// stranger's bundle on a signed one is carried on.
func TestReplicateCopiesVerifiedOnly(t *testing.T) {
	s := newScene(t, ServeOptions{})
	target := serve(t, NewHandler(ServeOptions{}))
	var refused *sign.RefusedError
	unsigned := s.tag.Digest(s.subject.Digest.String())
	o := replicate(unsigned, target)
	o.Verify = smallPolicy()
	if _, err := Replicate(context.Background(), o); !errors.As(err, &refused) {
		t.Errorf("unsigned: %v, want a refusal", err)
	}
	if _, err := openTag(t, target).Manifest(context.Background(), s.subject.Digest); !errors.Is(err, sign.ErrNotFound) {
		t.Errorf("the unsigned image was copied: %v", err)
	}
	s.attachBundle(s.victim, sign.PredicateSPDX, s.statement(otherKey(), s.victim.Digest, sign.PredicateSPDX).Bundle)
	s.attachBundle(s.victim, sign.PredicateSignature, []byte("rubbish"))
	s.legacy(sign.SignatureTag(s.victim.Digest), s.signature(otherKey(), s.victim.Digest))
	o.Source = s.tag
	if _, err := Replicate(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(context.Background(), target, quick(), smallPolicy())
	if err != nil || len(report.Rejected) > 0 {
		t.Errorf("target has more than was verified: %v\n%s", err, asJSON(t, report))
	}
}

func TestReplicateOneFailureHidesNoOther(t *testing.T) {
	source := serve(t, NewHandler(ServeOptions{}))
	mustPublish(t, publication1(t, source, newIndex(t, false)))
	good, taken := serve(t, NewHandler(ServeOptions{})), serve(t, NewHandler(ServeOptions{Immutable: true}))
	occupant := newIndex(t, false)
	mustPublish(t, publication1(t, taken, occupant))
	dead := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	list, err := Replicate(context.Background(), replicate(source, dead, taken, good))
	var failed *ReplicationError
	if !errors.As(err, &failed) || failed.Failed != 2 || failed.Total != 3 {
		t.Fatalf("Replicate: %v", err)
	}
	var exists *TagExistsError
	if !errors.As(err, &exists) || exists.Existing != digestOf(t, occupant) {
		t.Errorf("the occupied target is not explained: %v", err)
	}
	if got := states(list); got[0] != ReplicaFailed || got[1] != ReplicaDiffers || got[2] != ReplicaCopied {
		t.Errorf("states %v", got)
	}
	if got := tagNames(t, taken); got != digestOf(t, occupant).String() {
		t.Errorf("the occupied tag now names %s", got)
	}
}

func TestReplicaStatusSeesWhatIsMissing(t *testing.T) {
	source := serve(t, NewHandler(ServeOptions{}))
	index := newIndex(t, false)
	mustPublish(t, publication1(t, source, index))
	absent, bare := serve(t, NewHandler(ServeOptions{})), serve(t, NewHandler(ServeOptions{}))
	pushUnsigned(t, bare, index)
	partial := serve(t, NewHandler(ServeOptions{}))
	o := publication1(t, partial, index)
	o.Attestations = o.Attestations[:2]
	mustPublish(t, o)
	list, err := ReplicaStatus(context.Background(), ReplicateOptions{Source: source, Targets: []name.Tag{absent, bare, partial},
		Verify: sign.VerifyOptions{Keys: policy().Keys}, Remote: quick()})
	if got := states(list); err == nil || got[0] != ReplicaMissing || got[1] != ReplicaRefused || got[2] != ReplicaRefused {
		t.Errorf("states %v, %v", got, err)
	}
	if got := tagNames(t, absent); got != "" {
		t.Errorf("status wrote a tag: %s", got)
	}
}
