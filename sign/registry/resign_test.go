package registry

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/hardstand/hardstand/sign"
)

// A rotation: images signed by the old key are accepted by both lists while the
// old key lasts, and after it by the new signature.
func TestResignForRotation(t *testing.T) {
	for kind, options := range map[string]ServeOptions{"referrers-api": {}, "referrers-tag": {NoReferrers: true}} {
		t.Run(kind, func(t *testing.T) {
			tag := serve(t, NewHandler(options))
			index := newIndex(t, false)
			mustPublish(t, publication1(t, tag, index))
			o := ResignOptions{Images: []name.Reference{tag}, Verify: policy(), Signer: otherKey(), Remote: quick()}
			list, err := Resign(context.Background(), o)
			if err != nil || list[0].Signed != 3 || list[0].Digest != digestOf(t, index) {
				t.Fatalf("Resign: %+v, %v", list, err)
			}
			if list, err = Resign(context.Background(), o); err != nil || list[0].Signed != 0 {
				t.Errorf("again: %+v, %v", list, err)
			}
			retired := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
			old, next := ourKey().Key(), otherKey().Key()
			old.NotAfter, next.NotBefore = retired, retired.AddDate(0, -1, 0)
			for day, keys := range map[time.Time][]sign.Key{
				retired.AddDate(0, -2, 0):  {old},
				retired.AddDate(0, 0, -10): {old, next},
				retired.AddDate(1, 0, 0):   {old, next},
				retired.AddDate(2, 0, 0):   {next},
			} {
				v := policy()
				v.Keys, v.Now = keys, day
				if report, err := Verify(context.Background(), tag, quick(), v); err != nil {
					t.Errorf("%s with %d keys: %v\n%s", day.Format(time.DateOnly), len(keys), err, asJSON(t, report))
				}
			}
			v := policy()
			v.Keys, v.Now = []sign.Key{old}, retired.AddDate(1, 0, 0)
			var refused *sign.RefusedError
			if _, err := Verify(context.Background(), tag, quick(), v); !errors.As(err, &refused) || !refused.Has(sign.CodeKeyWindow) {
				t.Errorf("the retired key alone: %v", err)
			}
		})
	}
}

func TestResignRefusesUnsigned(t *testing.T) {
	s := newScene(t, ServeOptions{})
	unsigned := s.tag.Digest(s.subject.Digest.String())
	list, err := Resign(context.Background(), ResignOptions{Images: []name.Reference{unsigned, s.tag},
		Verify: smallPolicy(), Signer: otherKey(), Remote: quick()})
	var refused *sign.RefusedError
	if !errors.As(err, &refused) || list[0].Signed != 0 {
		t.Errorf("unsigned image: %+v, %v", list[0], err)
	}
	if list[1].Err != nil || list[1].Signed != 2 {
		t.Errorf("the signed image beside it: %+v", list[1])
	}
	m, err := s.repo.Referrers(context.Background(), s.subject.Digest)
	if err != nil || len(m) != 0 {
		t.Errorf("the unsigned image has %d referrers, %v", len(m), err)
	}
	if bytes.Equal(ourKey().Key().PEM, otherKey().Key().PEM) {
		t.Error("both keys are the same")
	}
}
