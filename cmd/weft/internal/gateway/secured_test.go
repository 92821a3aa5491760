package gateway_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/metadata/etcdkv"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// Fault model of this file: etcd clusters with a CA and a user each, of which the configuration names another's.

// secured is an etcd with a CA and a user of its own.
type secured struct {
	t        *testing.T
	ca       *etcdtest.Authority
	server   *etcdtest.Server
	user     string
	password string // file
}

func startSecured(t *testing.T, name, password string) *secured {
	s := &secured{t: t, ca: etcdtest.NewAuthority(t), user: name + "-user", password: filepath.Join(t.TempDir(), "password")}
	s.ca.Issue("server")
	s.server = etcdtest.Start(t, "https", s.ca.Serve("server")...)
	if err := os.WriteFile(s.password, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := etcdkv.Open(t.Context(), etcdkv.Config{Endpoints: []string{s.server.Addr}, CA: s.ca.Path("ca.crt")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	etcdtest.AddUser(t, db.Client(), s.user, password, "/weft/")
	return s
}

// url names the cluster, with some settings changed; an empty one is left out.
func (s *secured) url(changed map[string]string) string {
	q := url.Values{}
	for name, value := range map[string]string{"ca": s.ca.Path("ca.crt"), "user": s.user, "password-file": s.password} {
		if other, ok := changed[name]; ok {
			value = other
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	return "etcd://" + s.server.Addr + "/weft?" + q.Encode()
}

// Each cluster is used with the CA and the user of its own; with those of the other the error names the cluster and
// what to change, and tells no password.
func TestMetadataClustersSecured(t *testing.T) {
	near, far := startSecured(t, "near", "opensesame-near"), startSecured(t, "far", "opensesame-far")
	r := newRig(t, 2, 2, "ec:2+2")
	r.file.Metadata = near.url(nil)
	r.file.Division = cluster.Division{{Name: "far", URL: far.url(nil), Buckets: []string{"far*"}}}
	r.file.SecretFile = filepath.Join(r.dir, "secret")
	if err := os.WriteFile(r.file.SecretFile, []byte(strings.Repeat("s", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.all()
	gws := []*shared{r.gateway("gw0"), r.gateway("gw1")}
	gws[0].makeBucket("near", "far1")
	for _, b := range []string{"near", "far1"} {
		for i, n := range sizes {
			if err := gws[0].putIn(b, fmt.Sprint(i), n, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := gws[1].getFrom(b, fmt.Sprint(i), n); err != nil {
				t.Error(err)
			}
		}
	}

	for what, test := range map[string]struct {
		change map[string]string
		say    string
	}{
		"the password of another": {map[string]string{"password-file": near.password}, "password-file"},
		"the user of another":     {map[string]string{"user": near.user, "password-file": near.password}, "password-file"},
		"no user":                 {map[string]string{"user": "", "password-file": ""}, "user=NAME&password-file=FILE"},
		"the CA of another":       {map[string]string{"ca": near.ca.Path("ca.crt")}, "ca=FILE"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		division := cluster.Division{{Name: "far", URL: far.url(test.change), Buckets: []string{"far*"}}}
		m, err := gateway.OpenEtcd(ctx, r.file.Metadata, r.file.Deployment, division)
		cancel()
		if err == nil {
			t.Errorf("%s: opened", what)
			m.Close()
			continue
		}
		if s := err.Error(); !strings.Contains(s, "cluster far") || !strings.Contains(s, test.say) || strings.Contains(s, "opensesame") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
