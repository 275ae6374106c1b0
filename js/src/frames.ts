// Runs beside a frozen copy, in the page that frames it: the copy itself can reach nothing of that page.

import { tendCopies } from "./shell/copy-frames.js";

tendCopies();
