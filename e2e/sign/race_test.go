//go:build e2e

package sign_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hardstand/hardstand/sign/registry"
)

// TestRacers has eight publishers want one tag. Where immutability is enforced,
// one of them gets it and the others know; elsewhere whoever lost without
// noticing at once is told by an alarm, or believes in a tag it does not have,
// which is why the guide asks for immutable repositories.
func TestRacers(t *testing.T) {
	signer := newSigner(t)
	plain := startDockerRegistry(t)
	upstream, err := url.Parse("http://" + plain)
	if err != nil {
		t.Fatal(err)
	}
	enforcing := httptest.NewServer(registry.Enforce(httputil.NewSingleHostReverseProxy(upstream)))
	t.Cleanup(enforcing.Close)
	for kind, addr := range map[string]string{"docker-registry": plain, "enforced": strings.TrimPrefix(enforcing.URL, "http://")} {
		t.Run(kind, func(t *testing.T) {
			tag := parseTag(t, addr+"/race/"+kind+":1.0")
			var mu sync.Mutex
			var won []string
			var group sync.WaitGroup
			for range 8 {
				index := newIndex(t)
				group.Go(func() {
					res, err := registry.Publish(context.Background(), registry.PublishOptions{Index: index, Tag: tag, Signer: signer})
					mu.Lock()
					defer mu.Unlock()
					var exists *registry.TagExistsError
					var lost *registry.TagLostError
					switch {
					case err == nil:
						won = append(won, res.Digest.String())
					case !errors.As(err, &exists) && !errors.As(err, &lost):
						t.Errorf("a loser learns: %v", err)
					}
				})
			}
			group.Wait()
			repo, err := registry.Open(context.Background(), tag.Repository, registry.Remote{})
			if err != nil {
				t.Fatal(err)
			}
			digest, err := repo.Digest(context.Background(), tag)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d winners", len(won))
			if kind == "enforced" && (len(won) != 1 || won[0] != digest.String()) {
				t.Errorf("winners %v, the tag names %s", won, digest)
			}
			again := parseTag(t, addr+"/race/"+kind+":1.0")
			var exists *registry.TagExistsError
			_, err = registry.Publish(context.Background(), registry.PublishOptions{Index: newIndex(t), Tag: again, Signer: signer})
			if !errors.As(err, &exists) || exists.Existing != digest {
				t.Errorf("overwriting: %v", err)
			}
		})
	}
}
