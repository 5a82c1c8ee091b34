package agent

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/sluicenet/sluice/policy"
)

// kernelAddrs lists the addresses that the kernel owns in this network namespace, with their interface.
func kernelAddrs() (map[netip.Addr]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for its interfaces: %w", err)
	}
	owned := map[netip.Addr]string{}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("ask the kernel for the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				owned[p.Addr().Unmap()] = i.Name
			}
		}
	}
	return owned, nil
}

// checkKernelAddrs refuses a provider address that the kernel has too: both would answer for it, and the kernel would
// reject the tunnel's packets.
func (a *Agent) checkKernelAddrs(c *policy.Config) error {
	owned, err := a.opts.KernelAddrs()
	if err != nil {
		return err
	}
	for _, v := range c.Vports {
		for _, pa := range v.ProviderAddresses {
			if iface, ok := owned[pa]; ok {
				return fmt.Errorf("%w: vport %s: provider address %s is also the kernel's, on interface %s, and both would answer for it; give the VM another one",
					ErrRefused, v.Name, pa, iface)
			}
		}
	}
	for _, u := range c.Uplinks {
		for _, pa := range u.ProviderAddresses {
			if iface, ok := owned[pa.Addr()]; ok {
				return fmt.Errorf("%w: uplink %s: provider address %s is also the kernel's, on interface %s, and both would answer for it; remove it there: ip address del %s dev %s",
					ErrRefused, u.Name, pa.Addr(), iface, pa, iface)
			}
		}
	}
	return nil
}
