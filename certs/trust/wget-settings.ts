// wget built with GnuTLS, as on Debian and Ubuntu, reads no variable that names roots: only its own settings name them.
import { readFile } from 'node:fs/promises'

const systemSettings = '/etc/wgetrc'

/**
 * Settings to stand in place of the system's, which are kept in them; those of the user come after and stay as they are.
 * @param inherited environment that the agent would have had
 * @param roots path of a file of certificates in PEM
 */
export async function wgetSettings(
  inherited: Readonly<Record<string, string | undefined>>,
  roots: string,
): Promise<string> {
  const before = await readFile(inherited.SYSTEM_WGETRC ?? systemSettings, 'utf8').catch(() => '')
  return `${before}\nca_certificate = ${roots}\n`
}
