// Pictures of the console, at the widths of a desk and of a phone, light and dark, as WebP into the folder PICTURES (and as PNG into
// PNG, where that is set). What they show is the caller's to make. Prints each picture's size in bytes, and how far it leaves its edge.
import { mkdirSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { CHROMIUM, CONSOLE_URL, API_KEY, ADMIN_KEY, ACCOUNT, REQUEST, PICTURES, PNG } = process.env;
const desk = { viewport: { width: 1280, height: 1000 } };
const phone = { viewport: { width: 390, height: 1100 }, isMobile: true, deviceScaleFactor: 2 };
const account = `accounts/${ACCOUNT}`;
const pictures = [
  ['operations-desk-dark', desk, 'dark', ADMIN_KEY, 'operations'],
  ['overview-desk-light', desk, 'light', API_KEY, account],
  ['overview-phone-dark', phone, 'dark', API_KEY, account],
  ['requests-desk-dark', desk, 'dark', API_KEY, `${account}/requests`],
  ['requests-phone-light', phone, 'light', API_KEY, `${account}/requests`],
  ['request-desk-light', { viewport: { width: 1280, height: 1250 } }, 'light', API_KEY, `${account}/requests/${REQUEST}`],
];
mkdirSync(PICTURES, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--hide-scrollbars'] });

// Chromium gives up on a frame that a busy machine does not paint in time, and says so; the next one is as good.
async function captured(devtools, attempts = 5) {
  try {
    return await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 82 });
  } catch (error) {
    if (attempts === 1 || !String(error).includes('Unable to capture screenshot')) throw error;
    return captured(devtools, attempts - 1);
  }
}

const made = {};
for (const [name, device, colorScheme, key, path] of pictures) {
  const context = await browser.newContext({ ...device, colorScheme });
  const page = await context.newPage();
  await page.goto(CONSOLE_URL);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/accounts**');
  await page.goto(`${CONSOLE_URL}/${path}`);
  const devtools = await context.newCDPSession(page);
  const { data } = await captured(devtools);
  const picture = Buffer.from(data, 'base64');
  writeFileSync(`${PICTURES}/${name}.webp`, picture);
  if (PNG) {
    mkdirSync(PNG, { recursive: true });
    await page.screenshot({ path: `${PNG}/${name}.png`, fullPage: true });
  }
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  made[name] = { bytes: picture.length, overflow };
  await context.close();
}
await browser.close();
console.log(JSON.stringify(made));
