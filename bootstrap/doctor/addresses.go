package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// checkRelyingParty checks that browsers accept the RP ID on the page at the public URL, and that users can open this page.
func (c *checks) checkRelyingParty(context.Context) {
	// Check rp_id: browsers accept the RP ID on the page at the public URL. With an error no passkey can be added or used there.
	// Check public_url: users can open the page at the public URL.
	id, host := c.config.RPID, config.HostOf(c.config.PublicURL)
	switch {
	case !config.IsSameOrSubdomain(host, id):
		c.AddError("rp_id", fmt.Sprintf("the page at %s cannot use passkeys of %s: it is not on this domain or a subdomain", c.config.PublicURL, id),
			"set KEYLODGE_RP_ID to "+host+" or a parent domain of it; if users have passkeys already, change KEYLODGE_PUBLIC_URL instead")
	case id != host:
		c.AddOK("rp_id", fmt.Sprintf("%s; pages on this domain and all its subdomains, not only %s, can request these passkeys", id, host))
	default:
		c.AddOK("rp_id", id+", the host of the public URL")
	}
	switch {
	case !config.IsLocalhost(host):
		c.AddOK("public_url", c.config.PublicURL)
	case isLocal(c.config.Listen):
		c.AddOK("public_url", c.config.PublicURL+", for browsers on this machine")
	default:
		c.AddWarning("public_url", c.config.PublicURL+" works only in browsers on this machine, and the server listens on other addresses too",
			"set KEYLODGE_PUBLIC_URL to the https URL that users open, or KEYLODGE_LISTEN to 127.0.0.1")
	}
}

func (c *checks) checkOrigins(context.Context) {
	// Check origins: browsers let pages of the allowed origins use the passkeys.
	// Check app_origins: shows the origins of web views and browser extensions that may call the API.
	related, labels := c.config.RelatedOrigins(), c.config.RelatedLabels()
	switch {
	case len(labels) > config.MaxRelatedLabels:
		c.AddError("origins", fmt.Sprintf("KEYLODGE_ORIGINS has %d labels other than the RP ID's, and browsers accept only %d", len(labels), config.MaxRelatedLabels), "remove the others, or run a separate Keylodge for them")
	case len(related) > 0:
		c.AddWarning("origins", fmt.Sprintf("%s: not on %s or a subdomain, so only browsers that support related origins let them use its passkeys", strings.Join(related, ", "), c.config.RPID),
			"none, if this is intended: https://"+c.config.RPID+"/.well-known/webauthn lists them")
	default:
		c.AddOK("origins", strings.Join(c.config.Origins, ", "))
	}
	if len(c.config.AppOrigins) > 0 {
		c.AddOK("app_origins", strings.Join(c.config.AppOrigins, ", ")+", which call the API with tokens")
	}
}

// isLocal reports whether only this machine can connect to a server that listens on an address.
func isLocal(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && (config.IsLocalhost(host) || config.IsLoopback(host))
}

func (c *checks) checkListeners(ctx context.Context) {
	// Check listen: the server can listen on its address, or listens there already.
	// Check ops_listen: the server can listen on the address of health checks and metrics, which only this machine should reach.
	c.checkListener(ctx, "listen", "KEYLODGE_LISTEN", c.config.Listen, c.requireThisServer)
	if c.config.OpsListen == "" {
		c.AddOK("ops_listen", "disabled: no health and metrics")
		return
	}
	c.checkListener(ctx, "ops_listen", "KEYLODGE_OPS_LISTEN", c.config.OpsListen, RequireReady)
	if !isLocal(c.config.OpsListen) {
		c.AddWarning("ops_listen", "every client that can connect to "+c.config.OpsListen+" can read health and metrics", "block other clients with a firewall, or set KEYLODGE_OPS_LISTEN to 127.0.0.1:9090")
	}
}

// checkListener checks that an address is free, or that this server listens on it, which probe verifies.
func (c *checks) checkListener(ctx context.Context, check, setting, address string, probe func(ctx context.Context, address string) error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		_ = listener.Close()
		c.AddOK(check, address+" is free; the server is not running")
		return
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		c.AddError(check, err.Error(), config.ListenFix(setting, err))
		return
	}
	if err := probe(ctx, address); err != nil {
		c.AddError(check, address+" is in use, but not by a ready server with these settings: "+err.Error(), "stop the program that uses this address, or set "+setting+" to another one; if it is this server, read its log")
		return
	}
	c.AddOK(check, "the server responds on "+address)
}

// dialAddress returns the address with which a client on this machine connects to a server that listens on an address. It has no
// name: a container may not resolve localhost.
func dialAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "" || err == nil && ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && ip == netip.IPv6Unspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

func (c *checks) requireThisServer(ctx context.Context, listen string) error {
	var response struct {
		RPID string `json:"rp_id"`
	}
	if err := fetchJSON(ctx, "http://"+dialAddress(listen)+"/v1/config", &response); err != nil {
		return err
	}
	if response.RPID != c.config.RPID {
		return fmt.Errorf("the RP ID of that server is %q", response.RPID)
	}
	return nil
}

// RequireReady returns an error unless a server that listens on the address, which may be 0.0.0.0, is ready. It waits for at most
// three seconds.
func RequireReady(ctx context.Context, listen string) error {
	var response struct {
		Status string `json:"status"`
	}
	if err := fetchJSON(ctx, "http://"+dialAddress(listen)+"/readyz", &response); err != nil {
		return err
	}
	if response.Status != "ready" {
		return fmt.Errorf("the status is %q", response.Status)
	}
	return nil
}

// fetchJSON reads a small JSON document from this machine. It uses no proxy and follows no redirect.
func fetchJSON(ctx context.Context, address string, document any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responds with %s", address, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(document); err != nil {
		return fmt.Errorf("%s responds, but not as Keylodge does", address)
	}
	return nil
}

func (c *checks) checkProxies(context.Context) {
	// Check proxies: the server gets the IP addresses of clients from the right proxies. Otherwise clients share one rate limit,
	// or can spoof their address.
	every := func(network netip.Prefix) bool { return network.Bits() == 0 }
	wide := func(network netip.Prefix) bool {
		return !network.Addr().IsPrivate() && !network.Addr().IsLoopback() && network.Bits() < network.Addr().BitLen()/2
	}
	behindProxy := strings.HasPrefix(c.config.PublicURL, "https:")
	switch proxies := c.config.TrustedProxies; {
	case slices.ContainsFunc(proxies, every):
		c.AddWarning("proxies", "KEYLODGE_TRUSTED_PROXIES trusts every address, so every client can spoof X-Forwarded-For", "set it to the addresses of the proxies only")
	case slices.ContainsFunc(proxies, wide):
		c.AddWarning("proxies", fmt.Sprintf("KEYLODGE_TRUSTED_PROXIES trusts %v, which may include addresses of clients; these can spoof X-Forwarded-For", proxies), "set it to the addresses of the proxies only")
	case behindProxy && len(proxies) == 0 && isLocal(c.config.Listen):
		c.AddWarning("proxies", "the proxy that serves the https URL is not trusted, so all clients seem to have its address", "set KEYLODGE_TRUSTED_PROXIES=127.0.0.1,::1 if it runs on this machine")
	case behindProxy && len(proxies) == 0:
		c.AddWarning("proxies", "the proxy that serves the https URL is not trusted, so all clients seem to have its address",
			"set KEYLODGE_TRUSTED_PROXIES to the address of the proxy, and block direct connections to "+c.config.Listen)
	case !behindProxy && len(proxies) == 0:
		c.AddOK("proxies", "none: clients connect directly")
	default:
		c.AddOK("proxies", fmt.Sprintf("%v; block direct connections to %s", proxies, c.config.Listen))
	}
}
